-- One append: several batches in one commit and one round trip, under the lock of the agency's head.
-- Event by event the chain is extended as src/journal/chain.rs says. A batch whose incident is at another version is
-- refused alone; an adapter whose epoch has passed is refused whole (SQLSTATE FO001), and so is a commit with a record under
-- a key that is not its incident's, or is not there any more (FO003). Earlier programs leave the last two arguments out.
DROP FUNCTION IF EXISTS fourth.append(text, text, bigint, bytea, text[], bigint[], text[], boolean[], text[], text[], text[], text[],
    integer[], text[], integer[], bytea[], text[], bytea[]);

CREATE OR REPLACE FUNCTION fourth.append(
    p_agency_id      text,
    p_adapter        text,      -- who appends
    p_epoch          bigint,    -- the epoch it joined under
    p_commit         bytea,     -- key of this append, 16 random bytes
    p_incidents      text[],    -- of each batch: the incident; null for the adapter
    p_expected       bigint[],  -- of each batch: the version the incident must be at
    p_ats            text[],    -- of each batch: the instant of its events
    p_rests          boolean[], -- of each batch: nothing is left to do after it
    p_called_by      text[],    -- of each batch: the sender's agency; null where no record was applied
    p_called         text[],    -- of each batch: the sender's name for the incident
    p_began          text[],    -- of each batch: the first instant known of it
    p_closed_at      text[],    -- of each batch: when it ended
    p_events         integer[], -- of each batch: how many events
    p_kinds          text[],    -- of each event, batch after batch: its name
    p_event_versions integer[], -- of each event: version of its shape
    p_payloads       bytea[],   -- of each event: its JSON
    p_digests        text[],    -- of each batch: SHA-256 of the record's bytes; null without
    p_contents       bytea[],   -- of each batch: the record's bytes, under its incident's key where one is given; null without
    p_wrapped        bytea[]   DEFAULT NULL, -- of each batch: the key that the record is under, wrapped; null where it is as it came
    p_new_keys       boolean[] DEFAULT NULL  -- of each batch: the key was made for this record, and no other is known
) RETURNS TABLE (
    batch    integer, -- position of the batch, from 1
    sequence bigint,  -- of each event written; null where the batch was refused
    version  bigint,  -- of the incident after the event; where the batch was refused, the version it is at
    hash     bytea    -- chain value of the entry; null where the batch was refused
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    head        bigint;
    v_hash      bytea;
    before      bigint;
    known       bigint;
    subject     text;
    number      integer := 0;
    w_sequences bigint[] := '{}';
    w_batches   integer[] := '{}';
    w_events    integer[] := '{}';
    w_versions  bigint[] := '{}';
    w_hashes    bytea[] := '{}';
BEGIN
    SELECT agency.head_sequence, agency.head_hash INTO head, v_hash
        FROM fourth.agency WHERE agency_id = p_agency_id FOR UPDATE;
    PERFORM 1 FROM fourth.writer
        WHERE agency_id = p_agency_id AND adapter = p_adapter AND epoch = p_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this epoch of the adapter has passed' USING ERRCODE = 'FO001';
    END IF;
    before := head;
    FOR b IN 1 .. cardinality(p_expected) LOOP
        known := 0;
        IF p_incidents[b] IS NOT NULL THEN
            SELECT incident.version INTO known
                FROM fourth.incident WHERE agency_id = p_agency_id AND incident = p_incidents[b];
            known := coalesce(known, 0);
            IF known <> p_expected[b] THEN
                batch := b; sequence := NULL; version := known; hash := NULL;
                RETURN NEXT;
                number := number + p_events[b];
                CONTINUE;
            END IF;
        END IF;
        subject := CASE WHEN p_incidents[b] IS NULL THEN 'adapter' ELSE 'incident' END;
        FOR i IN 1 .. p_events[b] LOOP
            number := number + 1;
            head := head + 1;
            IF p_incidents[b] IS NOT NULL THEN
                known := known + 1;
            END IF;
            v_hash := sha256('\x01'::bytea || v_hash
                || int4send(8) || int8send(head)
                || int4send(octet_length(subject)) || convert_to(subject, 'UTF8')
                || int4send(octet_length(coalesce(p_incidents[b], ''))) || convert_to(coalesce(p_incidents[b], ''), 'UTF8')
                || int4send(8) || int8send(known)
                || int4send(octet_length(p_ats[b])) || convert_to(p_ats[b], 'UTF8')
                || int4send(octet_length(p_kinds[number])) || convert_to(p_kinds[number], 'UTF8')
                || int4send(4) || int4send(p_event_versions[number])
                || int4send(octet_length(p_payloads[number])) || p_payloads[number]);
            w_sequences := w_sequences || head;
            w_batches := w_batches || b;
            w_events := w_events || number;
            w_versions := w_versions || known;
            w_hashes := w_hashes || v_hash;
        END LOOP;
        IF p_incidents[b] IS NOT NULL THEN
            INSERT INTO fourth.incident AS held
                    (agency_id, incident, version, adapter, rests, called_by, called, began, closed_at)
                VALUES (p_agency_id, p_incidents[b], known, p_adapter, p_rests[b],
                        p_called_by[b], p_called[b], p_began[b], p_closed_at[b])
                ON CONFLICT (agency_id, incident) DO UPDATE
                SET version = excluded.version, adapter = excluded.adapter, rests = excluded.rests,
                    called_by = excluded.called_by, called = excluded.called,
                    began = excluded.began, closed_at = excluded.closed_at;
        END IF;
        IF p_digests[b] IS NOT NULL THEN
            IF p_wrapped[b] IS NOT NULL THEN
                IF p_new_keys[b] THEN
                    INSERT INTO fourth.incident_key (agency_id, incident, wrapped)
                        VALUES (p_agency_id, p_incidents[b], p_wrapped[b])
                        ON CONFLICT (agency_id, incident) DO NOTHING;
                END IF;
                -- Another was first, or the person was forgotten meanwhile: under this key nobody could read the record.
                IF NOT EXISTS (SELECT FROM fourth.incident_key
                        WHERE agency_id = p_agency_id AND incident = p_incidents[b] AND wrapped = p_wrapped[b]) THEN
                    RAISE EXCEPTION 'the key of a record is not its incident''s' USING ERRCODE = 'FO003';
                END IF;
            END IF;
            INSERT INTO fourth.record (agency_id, incident, sha256, locked, bytes, stored_at)
                VALUES (p_agency_id, coalesce(p_incidents[b], ''), p_digests[b], p_wrapped[b] IS NOT NULL, p_contents[b], p_ats[b])
                ON CONFLICT (agency_id, incident, sha256) DO NOTHING;
        END IF;
    END LOOP;
    INSERT INTO fourth.entry
            (agency_id, sequence, subject, incident, version, at, kind, event_version, payload, hash, adapter)
        SELECT p_agency_id, w.sequence, CASE WHEN p_incidents[w.batch] IS NULL THEN 'adapter' ELSE 'incident' END,
               p_incidents[w.batch], w.version, p_ats[w.batch], p_kinds[w.event], p_event_versions[w.event],
               p_payloads[w.event], w.hash, p_adapter
        FROM unnest(w_sequences, w_batches, w_events, w_versions, w_hashes)
            AS w (sequence, batch, event, version, hash);
    UPDATE fourth.agency SET head_sequence = head, head_hash = v_hash WHERE agency_id = p_agency_id;
    UPDATE fourth.writer
        SET last_commit = p_commit,
            first_sequence = CASE WHEN head > before THEN before + 1 END,
            last_sequence = CASE WHEN head > before THEN head END
        WHERE agency_id = p_agency_id AND adapter = p_adapter;
    RETURN QUERY SELECT w.batch, w.sequence, w.version, w.hash
        FROM unnest(w_sequences, w_batches, w_versions, w_hashes) AS w (sequence, batch, version, hash);
END $$;
