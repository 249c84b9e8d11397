-- A store of past calls (SQLite, format 1), written by `fourth import` and read by `fourth replay`. Run once, when the file is new.
-- No name, number, address or narrative: codes, times, zones, and coordinates rounded to 0.001 degree (about 100 m).

-- Files that were imported, one row an import that was committed.
CREATE TABLE source (
    id            INTEGER PRIMARY KEY,
    file          TEXT    NOT NULL,                     -- the file's own name, without its folder
    sha256        TEXT    NOT NULL CHECK (length(sha256) = 64), -- of the file's bytes, lower-case hex
    layout_sha256 TEXT    NOT NULL CHECK (length(layout_sha256) = 64), -- of the layout that it was read with, lower-case hex
    tally         TEXT    NOT NULL                      -- rows taken, repaired and refused, with their reasons, as JSON
) STRICT;

-- Agencies whose calls these are.
CREATE TABLE agency (
    id            INTEGER PRIMARY KEY,                  -- from 1, without gaps
    name          TEXT    NOT NULL UNIQUE
) STRICT;

-- What records say of calls, each distinct saying once: call type, priority, people without names, stated facts.
CREATE TABLE profile (
    id            INTEGER PRIMARY KEY,                  -- from 1, without gaps
    json          TEXT    NOT NULL UNIQUE               -- `Profile` of src/history/kept.rs
) STRICT;

-- Where calls were, each distinct place once.
CREATE TABLE place (
    id            INTEGER PRIMARY KEY,                  -- from 1, without gaps
    json          TEXT    NOT NULL UNIQUE               -- `Place` of src/history/kept.rs
) STRICT;

-- How calls ended, in the agency's own codes.
CREATE TABLE disposition (
    id            INTEGER PRIMARY KEY,                  -- from 1, without gaps
    code          TEXT    NOT NULL UNIQUE
) STRICT;

-- Calls. One row an incident of an agency; a later export of the same incident replaces the row.
CREATE TABLE call (
    id            INTEGER PRIMARY KEY,
    agency        INTEGER NOT NULL REFERENCES agency,
    incident      TEXT    NOT NULL,                     -- the agency's own identifier of the incident
    content       INTEGER NOT NULL,                     -- first 8 bytes of the SHA-256 of the exported row, big-endian, xor those of its layout: the same row read alike again changes nothing
    updated_at    INTEGER,                              -- the export's own time of this version, seconds since 1970 UTC; null where it has none
    source        INTEGER NOT NULL REFERENCES source,   -- the import that the row is from
    line          INTEGER NOT NULL,                     -- line of that file, from 1
    at            INTEGER NOT NULL,                     -- when the call came in: received, else answered, entered, dispatched, else the earliest stated; seconds since 1970 UTC
    times         TEXT    NOT NULL,                     -- further time points as JSON: name (`dispatched`, `on-scene`) and seconds after `at`, which may be negative
    profile       INTEGER NOT NULL REFERENCES profile,
    place         INTEGER NOT NULL REFERENCES place,
    disposition   INTEGER REFERENCES disposition,       -- null where none is stated
    UNIQUE (agency, incident)
) STRICT;
