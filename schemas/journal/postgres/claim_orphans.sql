-- Takes over incidents that no living adapter holds. Several adapters share them: none waits for a row that another takes.
WITH orphan AS (
    SELECT incident FROM fourth.incident
    WHERE agency_id = $1 AND NOT rests AND adapter <> $2
        AND NOT EXISTS (SELECT FROM fourth.lease WHERE lease.agency_id = $1 AND lease.adapter = incident.adapter)
    ORDER BY incident
    LIMIT $3                        -- incidents at most
    FOR UPDATE SKIP LOCKED
)
UPDATE fourth.incident AS held SET adapter = $2
FROM orphan
WHERE held.agency_id = $1 AND held.incident = orphan.incident
RETURNING held.incident
