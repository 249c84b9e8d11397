-- One entry, its columns in the order of the table.
INSERT INTO entry (sequence, subject, incident, version, at, kind, event_version, payload, hash)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
