-- The keys of incidents, wrapped.
SELECT incident, wrapped FROM fourth.incident_key WHERE agency_id = $1 AND incident = ANY ($2)
