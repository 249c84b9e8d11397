-- Where periods end, and from which one the chain begins once those before were dropped. Run at every opening for writing.

CREATE TABLE IF NOT EXISTS seal (
    through   INTEGER PRIMARY KEY,                      -- sequence of the last entry of the period
    hash      BLOB    NOT NULL CHECK (length(hash) = 32), -- chain value of that entry
    entries   INTEGER NOT NULL,                         -- entries of the period
    ended_at  TEXT    NOT NULL,                         -- when its last entry happened, RFC 3339, UTC
    dropped   INTEGER NOT NULL CHECK (dropped IN (0, 1)) -- 1: the entries up to here are gone; the chain begins after the last of these
) STRICT;

DROP TRIGGER IF EXISTS entry_is_never_deleted;

CREATE TRIGGER IF NOT EXISTS entry_is_dropped_under_a_seal_only BEFORE DELETE ON entry
WHEN NOT EXISTS (SELECT 1 FROM seal WHERE dropped = 1 AND OLD.sequence <= through) BEGIN
    SELECT raise(ABORT, 'entries are never deleted, but dropped by whole sealed periods');
END;
