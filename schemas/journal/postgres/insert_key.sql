-- The key under the name of no incident: by it whoever starts knows whether its key file is the one in use. What is there stays.
INSERT INTO fourth.incident_key (agency_id, incident, wrapped) VALUES ($1, $2, $3)
ON CONFLICT (agency_id, incident) DO NOTHING
