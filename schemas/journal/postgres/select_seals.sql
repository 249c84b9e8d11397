-- The seals, oldest first.
SELECT through, hash, entries, ended_at, dropped FROM fourth.seal WHERE agency_id = $1 ORDER BY through
