-- All entries of one incident, each with the chain value of the one before in the global order, or of the seal.
SELECT sequence, subject, incident, version, at, kind, event_version, payload, hash,
       coalesce((SELECT before.hash FROM entry AS before WHERE before.sequence = entry.sequence - 1),
                (SELECT seal.hash FROM seal WHERE seal.through = entry.sequence - 1 AND seal.dropped = 1)) AS hash_before
FROM entry
WHERE incident = ?1 -- the adapter's name of the incident
  AND sequence > coalesce((SELECT max(through) FROM seal WHERE dropped = 1), 0) -- not what a drop has still to take away
ORDER BY version
