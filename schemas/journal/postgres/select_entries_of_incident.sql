-- All entries of one incident, each with the chain value of the one before in the global order or of the seal, and the
-- sequence after which the chain begins.
SELECT sequence, subject, incident, version, at, kind, event_version, payload, hash,
       coalesce((SELECT before.hash FROM fourth.entry AS before
                 WHERE before.agency_id = entry.agency_id AND before.sequence = entry.sequence - 1),
                (SELECT seal.hash FROM fourth.seal
                 WHERE seal.agency_id = entry.agency_id AND seal.through = entry.sequence - 1 AND seal.dropped)) AS hash_before,
       (SELECT coalesce(max(through), 0) FROM fourth.seal WHERE agency_id = $1 AND dropped) AS begins_after
FROM fourth.entry
WHERE agency_id = $1
    AND incident = $2               -- the adapter's name of the incident
    AND sequence > (SELECT coalesce(max(through), 0) FROM fourth.seal WHERE agency_id = $1 AND dropped) -- not what a drop has still to take away
ORDER BY version
