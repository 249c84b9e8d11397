-- Entries of a range that other adapters appended.
SELECT sequence, subject, incident, version, at, kind, event_version, payload, hash,
       coalesce((SELECT before.hash FROM fourth.entry AS before
                 WHERE before.agency_id = entry.agency_id AND before.sequence = entry.sequence - 1),
                (SELECT seal.hash FROM fourth.seal
                 WHERE seal.agency_id = entry.agency_id AND seal.through = entry.sequence - 1 AND seal.dropped)) AS hash_before
FROM fourth.entry
WHERE agency_id = $1
    AND sequence > $2               -- the last sequence already heard of
    AND sequence <= $3              -- the last sequence of the range
    AND adapter <> $4               -- who asks
ORDER BY sequence
