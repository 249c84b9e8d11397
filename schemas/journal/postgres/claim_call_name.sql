-- Which incident bears a sender's name for a call: the one proposed, or the one that was first.
INSERT INTO fourth.call_name AS named (agency_id, name_sha256, incident) VALUES ($1, $2, $3)
ON CONFLICT (agency_id, name_sha256) DO UPDATE SET incident = named.incident
RETURNING incident
