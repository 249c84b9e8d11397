-- The incidents at work that an adapter holds.
SELECT incident FROM fourth.incident WHERE agency_id = $1 AND adapter = $2 AND NOT rests
