-- Who was here for one command leaves nothing behind but its entries.
WITH lease AS (DELETE FROM fourth.lease WHERE agency_id = $1 AND adapter = $2),
     settled AS (DELETE FROM fourth.settled WHERE agency_id = $1 AND adapter = $2)
DELETE FROM fourth.writer WHERE agency_id = $1 AND adapter = $2
