-- A commit after which all that was visible at its start is as durable as commits are. Tells the chain value at a sequence,
-- by which the asker knows that this server holds what it read, perhaps from another server; and whether that entry was
-- dropped with its period, so that only the seal vouches for it.
INSERT INTO fourth.settled AS settled (agency_id, adapter, times) VALUES ($1, $2, 1)
ON CONFLICT (agency_id, adapter) DO UPDATE SET times = settled.times + 1
RETURNING coalesce((SELECT hash FROM fourth.entry WHERE agency_id = $1 AND sequence = $3),
                   (SELECT hash FROM fourth.seal WHERE agency_id = $1 AND through = $3 AND dropped)),
          EXISTS (SELECT FROM fourth.seal WHERE agency_id = $1 AND through > $3 AND dropped)
