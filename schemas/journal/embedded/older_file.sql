-- For a reader of a file that only earlier programs have written: the tables that it lacks, empty, for this connection.
CREATE TEMP TABLE IF NOT EXISTS seal (through INTEGER PRIMARY KEY, hash BLOB, entries INTEGER, ended_at TEXT, dropped INTEGER);
CREATE TEMP TABLE IF NOT EXISTS record (incident TEXT, sha256 TEXT, locked INTEGER, bytes BLOB, stored_at TEXT);
CREATE TEMP TABLE IF NOT EXISTS incident_key (incident TEXT PRIMARY KEY, wrapped BLOB);
CREATE TEMP TABLE IF NOT EXISTS standing (incident TEXT PRIMARY KEY, version INTEGER);
