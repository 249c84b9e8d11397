-- The tables of the embedded journal (SQLite, format 1). Run once, when the file is new.

-- One row: what kind of file this is and where its chain ends.
CREATE TABLE meta (
    only          INTEGER PRIMARY KEY CHECK (only = 1), -- always 1: there is one row
    format        INTEGER NOT NULL,                     -- version of these tables and of the chain's canonical form; this is 1
    head_sequence INTEGER NOT NULL,                     -- sequence of the last entry, 0 while there is none; written in the same commit as the entry
    head_hash     BLOB    NOT NULL                      -- chain value of the last entry, 32 bytes; so that a lost tail is found
) STRICT;

INSERT INTO meta (only, format, head_sequence, head_hash) VALUES (1, 1, 0, zeroblob(32));

-- What happened, in one global order. Never updated, never deleted from. No personal data.
CREATE TABLE entry (
    sequence      INTEGER PRIMARY KEY,                  -- position in the global order, from 1, without gaps
    subject       TEXT    NOT NULL CHECK (subject IN ('incident', 'adapter')), -- what the entry is about
    incident      TEXT    CHECK ((subject = 'incident') = (incident IS NOT NULL)), -- the adapter's opaque name of the incident; null for the adapter
    version       INTEGER NOT NULL CHECK (version >= 0), -- version of the incident after this entry, from 1; 0 for the adapter
    at            TEXT    NOT NULL,                     -- when it happened by the adapter's civil clock, RFC 3339, UTC, up to nanoseconds
    kind          TEXT    NOT NULL,                     -- name of the event (`offered`, `accepted`, …), equal to the payload's `event`
    event_version INTEGER NOT NULL,                     -- version of the events' shape; a reader stops at one it does not know
    payload       BLOB    NOT NULL,                     -- the event as JSON, UTF-8: exactly the bytes that the chain commits to
    hash          BLOB    NOT NULL CHECK (length(hash) = 32), -- chain value: SHA-256 over 0x01, the hash of the entry before, and this entry (src/journal/chain.rs)
    UNIQUE (incident, version)                          -- one entry per version of an incident: the last line of defence behind the optimistic check
) STRICT;

CREATE TRIGGER entry_is_never_updated BEFORE UPDATE ON entry BEGIN
    SELECT raise(ABORT, 'entries are never updated');
END;

CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry BEGIN
    SELECT raise(ABORT, 'entries are never deleted');
END;

-- Call records of earlier programs, as they came; `record` has the later ones. Personal data. The chain commits to the digest only, so that a row can be destroyed and the chain still verifies.
CREATE TABLE content (
    sha256        TEXT    PRIMARY KEY CHECK (length(sha256) = 64), -- SHA-256 of the bytes, lower-case hex
    bytes         BLOB    NOT NULL,                     -- the record's bytes as they came
    stored_at     TEXT    NOT NULL                      -- when it was first stored, RFC 3339, UTC; what retention counts from
) STRICT;
