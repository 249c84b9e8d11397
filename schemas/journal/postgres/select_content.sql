-- The bytes of a record by their digest.
SELECT bytes FROM fourth.content WHERE agency_id = $1 AND sha256 = $2
