-- One call; a row of the same incident is replaced and keeps its id.
INSERT INTO call (agency, incident, content, updated_at, source, line, at, times, profile, place, disposition)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (agency, incident) DO UPDATE SET
    content = excluded.content, updated_at = excluded.updated_at, source = excluded.source, line = excluded.line,
    at = excluded.at, times = excluded.times, profile = excluded.profile, place = excluded.place,
    disposition = excluded.disposition
