-- Entries after a sequence, each with the chain value of the one before, so that every reading checks the chain.
SELECT sequence, subject, incident, version, at, kind, event_version, payload, hash,
       coalesce((SELECT before.hash FROM entry AS before WHERE before.sequence = entry.sequence - 1),
                (SELECT seal.hash FROM seal WHERE seal.through = entry.sequence - 1 AND seal.dropped = 1)) AS hash_before
FROM entry
WHERE sequence > ?1 -- the last sequence already read
ORDER BY sequence
LIMIT ?2            -- rows at most
