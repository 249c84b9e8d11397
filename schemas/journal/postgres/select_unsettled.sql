-- Every incident that does not rest, and how its sender calls it.
SELECT incident, called_by, called, began, closed_at FROM fourth.incident WHERE agency_id = $1 AND NOT rests
