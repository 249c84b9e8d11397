-- Where the chain ends, and where it begins: after the last dropped period, or nulls for the first entry.
SELECT agency.head_sequence, seal.through, seal.hash
FROM fourth.agency LEFT JOIN LATERAL (
    SELECT through, hash FROM fourth.seal
    WHERE seal.agency_id = agency.agency_id AND dropped
    ORDER BY through DESC
    LIMIT 1
) AS seal ON true
WHERE agency.agency_id = $1
