-- A record of an incident: incident, digest, whether it is under the incident's key, bytes, instant. What is there stays.
INSERT INTO record (incident, sha256, locked, bytes, stored_at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (incident, sha256) DO NOTHING
