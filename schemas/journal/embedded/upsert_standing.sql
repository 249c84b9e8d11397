-- How an incident stands after a batch, its columns in the order of the table.
INSERT INTO standing (incident, version, rests, agency, called, began, closed_at, mark)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (incident) DO UPDATE SET version = excluded.version, rests = excluded.rests, agency = excluded.agency,
    called = excluded.called, began = excluded.began, closed_at = excluded.closed_at, mark = excluded.mark
