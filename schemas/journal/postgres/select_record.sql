-- The bytes of a record of an incident by their digest, whether they are under the incident's key, and that key, wrapped; or
-- as an earlier program kept them.
SELECT locked, bytes, wrapped
FROM (SELECT 1 AS turn, record.locked, record.bytes, incident_key.wrapped
      FROM fourth.record LEFT JOIN fourth.incident_key USING (agency_id, incident)
      WHERE record.agency_id = $1 AND record.incident = $2 AND record.sha256 = $3
      UNION ALL
      SELECT 2, false, content.bytes, NULL FROM fourth.content
      WHERE content.agency_id = $1 AND content.sha256 = $3) AS kept
ORDER BY turn
LIMIT 1
