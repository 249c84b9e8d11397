-- All entries of one incident, each with the chain value of the one before in the global order.
SELECT sequence, subject, incident, version, at, kind, event_version, payload, hash,
       (SELECT before.hash FROM entry AS before WHERE before.sequence = entry.sequence - 1) AS hash_before
FROM entry
WHERE incident = ?1 -- the adapter's name of the incident
ORDER BY version
