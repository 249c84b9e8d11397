-- An incident that does not rest and began up to a sequence.
SELECT incident FROM fourth.incident
WHERE agency_id = $1 AND NOT rests
    AND EXISTS (SELECT FROM fourth.entry
                WHERE entry.agency_id = $1 AND entry.incident = incident.incident AND entry.sequence <= $2)
ORDER BY incident
LIMIT 1
