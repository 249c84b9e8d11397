-- All entries of one incident, each with the chain value of the one before in the global order.
SELECT sequence, subject, incident, version, at, kind, event_version, payload, hash,
       (SELECT before.hash FROM fourth.entry AS before
        WHERE before.agency_id = entry.agency_id AND before.sequence = entry.sequence - 1) AS hash_before
FROM fourth.entry
WHERE agency_id = $1
    AND incident = $2               -- the adapter's name of the incident
ORDER BY version
