-- Entries of one of the kinds that are kept at hand, newest first, each with the chain value of the one before.
SELECT sequence, subject, incident, version, at, kind, event_version, payload, hash,
       coalesce((SELECT before.hash FROM entry AS before WHERE before.sequence = entry.sequence - 1),
                (SELECT seal.hash FROM seal WHERE seal.through = entry.sequence - 1 AND seal.dropped = 1)) AS hash_before
FROM entry
WHERE kind = ?1 -- the event's name
  AND kind IN ('record-received', 'assessed', 'roster-set', 'undeliverable', 'redriven') -- so that the index serves
  AND sequence < ?2 -- the last sequence already read
  AND sequence > coalesce((SELECT max(through) FROM seal WHERE dropped = 1), 0) -- not what a drop has still to take away
ORDER BY sequence DESC
LIMIT ?3 -- rows at most
