-- Entries after a sequence, each with the chain value of the one before, so that every reading checks the chain.
SELECT sequence, subject, incident, version, at, kind, event_version, payload, hash,
       (SELECT before.hash FROM fourth.entry AS before
        WHERE before.agency_id = entry.agency_id AND before.sequence = entry.sequence - 1) AS hash_before
FROM fourth.entry
WHERE agency_id = $1
    AND sequence > $2               -- the last sequence already read
ORDER BY sequence
LIMIT $3                            -- rows at most
