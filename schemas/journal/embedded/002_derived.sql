-- What a restart reads instead of the whole chain. Derived from the entries, written in the same commit, and rebuilt
-- from them where it is missing or does not add up: never trusted over the chain. Run at every opening for writing.

-- How each incident stands that is open, has something undelivered, or ended within the last days.
CREATE TABLE IF NOT EXISTS standing (
    incident  TEXT    PRIMARY KEY,                      -- the adapter's opaque name of the incident
    version   INTEGER NOT NULL,                         -- version of the incident after its last entry
    rests     INTEGER NOT NULL CHECK (rests IN (0, 1)), -- 1: closed, nothing undelivered, no deadline; 0: a restart folds it
    agency    TEXT,                                     -- the agency whose name for the incident `called` is; null before a record was applied
    called    TEXT,                                     -- the sender's name for the incident
    began     TEXT,                                     -- the first instant known of it, RFC 3339, UTC
    closed_at TEXT,                                     -- when it ended, RFC 3339, UTC; null while it is open
    mark      INTEGER NOT NULL                          -- first eight bytes of SHA-256 over the columns before (src/journal/embedded/standing.rs)
) STRICT, WITHOUT ROWID;

-- One row: what the rows of `standing` add up to, and for which end of the chain that is so.
CREATE TABLE IF NOT EXISTS standing_sum (
    only      INTEGER PRIMARY KEY CHECK (only = 1),     -- always 1: there is one row
    sequence  INTEGER NOT NULL,                         -- sequence of the last entry that `standing` knows
    rows      INTEGER NOT NULL,                         -- how many rows `standing` has
    sum       INTEGER NOT NULL                          -- sum of their marks, wrapping at 64 bits
) STRICT;

-- The newest entries of the kinds that a restart reads back: contacts, recent decisions, the roster, dead letters.
CREATE INDEX IF NOT EXISTS entry_of_kind ON entry (kind, sequence) WHERE kind IN ('record-received', 'assessed', 'roster-set', 'undeliverable', 'redriven');
