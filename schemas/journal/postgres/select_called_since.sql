-- Incidents at rest that ended in a second or after it, by how their senders call them.
SELECT incident, called_by, called, began, closed_at FROM fourth.incident
WHERE agency_id = $1 AND rests
    AND closed_at >= $2             -- the second as text, without fraction or zone: it sorts before all that are in it
