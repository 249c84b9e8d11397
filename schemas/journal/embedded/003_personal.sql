-- What is personal, apart from the chain, so that it can be destroyed. Run at every opening for writing.

-- The key of each incident. A row that is gone is a person forgotten: the records under it cannot be read any more, also
-- not from a copy of the file that holds them without the key.
CREATE TABLE IF NOT EXISTS incident_key (
    incident  TEXT    PRIMARY KEY,                      -- the adapter's opaque name of the incident
    wrapped   BLOB    NOT NULL                          -- its key under the key of the key file: nonce, ciphertext, tag (src/journal/personal.rs)
) STRICT, WITHOUT ROWID;

-- Call records as they came. The chain commits to the digest only.
CREATE TABLE IF NOT EXISTS record (
    incident  TEXT    NOT NULL,                         -- the incident it belongs to
    sha256    TEXT    NOT NULL CHECK (length(sha256) = 64), -- SHA-256 of the bytes as they came, lower-case hex
    locked    INTEGER NOT NULL CHECK (locked IN (0, 1)), -- 1: under the incident's key; 0: as it came, for no key file is configured
    bytes     BLOB    NOT NULL,                         -- the record's bytes
    stored_at TEXT    NOT NULL                          -- when it was first stored, RFC 3339, UTC
) STRICT;

CREATE UNIQUE INDEX IF NOT EXISTS record_of_incident ON record (incident, sha256);
