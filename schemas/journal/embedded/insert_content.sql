-- The bytes of a record: digest, bytes, instant. Bytes that are already there stay as they are.
INSERT INTO content (sha256, bytes, stored_at) VALUES (?1, ?2, ?3)
ON CONFLICT (sha256) DO NOTHING
