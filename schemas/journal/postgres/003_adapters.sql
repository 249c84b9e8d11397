-- How adapters join, and how their rights pass to others.

-- An adapter joins: from now on nothing that it sent before can be written, and what it wrote last is told.
-- The head is locked first, so that an append on its way is either done, and seen here, or refused for ever.
CREATE FUNCTION fourth.join_adapter(
    p_agency_id text,
    p_adapter   text,
    p_instance  bytea,   -- 16 random bytes of this process
    p_first     boolean, -- true where the process joins for the first time: it may take the name from another process
    p_lease_ms  bigint   -- how long it is believed to be alive without a word
) RETURNS TABLE (epoch bigint, last_commit bytea, first_sequence bigint, last_sequence bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- Holds no record: it must not wait for a standby that is away.
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO fourth.agency (agency_id, format, head_sequence, head_hash)
        VALUES (p_agency_id, 1, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT (agency_id) DO NOTHING;
    PERFORM 1 FROM fourth.agency WHERE agency_id = p_agency_id FOR UPDATE;
    IF NOT p_first AND EXISTS (SELECT FROM fourth.writer
            WHERE agency_id = p_agency_id AND adapter = p_adapter AND instance <> p_instance) THEN
        RAISE EXCEPTION 'another process has joined under this name' USING ERRCODE = 'FO002';
    END IF;
    INSERT INTO fourth.lease AS lease (agency_id, adapter, until)
        VALUES (p_agency_id, p_adapter, clock_timestamp() + p_lease_ms * interval '1 millisecond')
        ON CONFLICT (agency_id, adapter) DO UPDATE SET until = excluded.until;
    RETURN QUERY INSERT INTO fourth.writer AS writer (agency_id, adapter, epoch, instance)
        VALUES (p_agency_id, p_adapter, 1, p_instance)
        ON CONFLICT (agency_id, adapter) DO UPDATE SET epoch = writer.epoch + 1, instance = p_instance
        RETURNING writer.epoch, writer.last_commit, writer.first_sequence, writer.last_sequence;
END $$;

-- A sign of life. Tells where the chain ends, how many others are alive, and whether somebody's incidents need a new holder.
CREATE FUNCTION fourth.sign_of_life(
    p_agency_id text,
    p_adapter   text,
    p_epoch     bigint,
    p_lease_ms  bigint
) RETURNS TABLE (head_sequence bigint, others bigint, orphans boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM 1 FROM fourth.writer
        WHERE agency_id = p_agency_id AND adapter = p_adapter AND epoch = p_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this epoch of the adapter has passed' USING ERRCODE = 'FO001';
    END IF;
    INSERT INTO fourth.lease AS lease (agency_id, adapter, until)
        VALUES (p_agency_id, p_adapter, clock_timestamp() + p_lease_ms * interval '1 millisecond')
        ON CONFLICT (agency_id, adapter) DO UPDATE SET until = excluded.until;
    RETURN QUERY SELECT
        (SELECT agency.head_sequence FROM fourth.agency WHERE agency_id = p_agency_id),
        (SELECT count(*) FROM fourth.lease
            WHERE agency_id = p_agency_id AND adapter <> p_adapter AND until > clock_timestamp()),
        EXISTS (SELECT FROM fourth.incident WHERE agency_id = p_agency_id AND NOT rests AND adapter <> p_adapter
            AND NOT EXISTS (SELECT FROM fourth.lease WHERE lease.agency_id = p_agency_id
                AND lease.adapter = incident.adapter AND until > clock_timestamp()));
END $$;

-- Refuses everything that dead adapters may still send. Under the head's lock: no append of theirs is half-way.
CREATE FUNCTION fourth.fence_the_dead(p_agency_id text, p_adapter text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM fourth.agency WHERE agency_id = p_agency_id FOR UPDATE;
    WITH dead AS (
        DELETE FROM fourth.lease
            WHERE agency_id = p_agency_id AND adapter <> p_adapter AND until <= clock_timestamp()
            RETURNING adapter
    )
    UPDATE fourth.writer SET epoch = epoch + 1
        WHERE agency_id = p_agency_id AND adapter IN (SELECT adapter FROM dead);
END $$;

-- An adapter stops in order: what it holds may be taken over at once.
CREATE FUNCTION fourth.say_goodbye(p_agency_id text, p_adapter text, p_epoch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM fourth.lease WHERE agency_id = p_agency_id AND adapter = p_adapter
        AND EXISTS (SELECT FROM fourth.writer WHERE agency_id = p_agency_id AND adapter = p_adapter AND epoch = p_epoch);
END $$;
