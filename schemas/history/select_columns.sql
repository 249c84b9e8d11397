-- What a replay reads of every call, in the order of import.
SELECT id, at, profile, place, coalesce(disposition, 0) FROM call ORDER BY id
