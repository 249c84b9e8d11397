-- Entries of one of the kinds that are kept at hand, newest first, each with the chain value of the one before or of the seal.
SELECT sequence, subject, incident, version, at, kind, event_version, payload, hash,
       coalesce((SELECT before.hash FROM fourth.entry AS before
                 WHERE before.agency_id = entry.agency_id AND before.sequence = entry.sequence - 1),
                (SELECT seal.hash FROM fourth.seal
                 WHERE seal.agency_id = entry.agency_id AND seal.through = entry.sequence - 1 AND seal.dropped)) AS hash_before
FROM fourth.entry
WHERE agency_id = $1
    AND kind = $2                   -- the event's name
    AND kind IN ('record-received', 'assessed', 'roster-set', 'undeliverable', 'redriven') -- so that the index serves
    AND sequence < $3               -- the last sequence already read
    AND sequence > (SELECT coalesce(max(through), 0) FROM fourth.seal WHERE agency_id = $1 AND dropped) -- not what a drop has still to take away
ORDER BY sequence DESC
LIMIT $4                            -- rows at most
