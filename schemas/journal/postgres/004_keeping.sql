-- What is kept and what is not: records under keys, people forgotten, periods sealed and dropped. Run on a new database, and
-- once on one of an earlier program (with 002, which it needs): by the first adapter of this one, or by the tables' owner.

-- The key of each incident. A row that is gone is a person forgotten: the records under it cannot be read any more, also not
-- from a copy of the tables that holds them without the key. Under the empty name stands a key that nothing is under: by it
-- an adapter with another key file is found out.
CREATE TABLE IF NOT EXISTS fourth.incident_key (
    agency_id     text    NOT NULL,                     -- whose journal
    incident      text    NOT NULL,                     -- the adapter's opaque name of the incident
    wrapped       bytea   NOT NULL,                     -- its key under the key of the key file: nonce, ciphertext, tag (src/journal/personal.rs)
    PRIMARY KEY (agency_id, incident)
);

-- Call records. Personal data. The chain commits to the digest only, so that a row can be destroyed and the chain still verifies.
CREATE TABLE IF NOT EXISTS fourth.record (
    agency_id     text    NOT NULL,                     -- whose journal
    incident      text    NOT NULL,                     -- the incident it belongs to; empty for what an adapter brought home
    sha256        text    NOT NULL CHECK (octet_length(sha256) = 64), -- SHA-256 of the bytes as they came, lower-case hex
    locked        boolean NOT NULL,                     -- true: under the incident's key; false: as it came, for no key file is configured
    bytes         bytea   NOT NULL,                     -- the record's bytes
    stored_at     text    NOT NULL,                     -- when it was first stored, RFC 3339, UTC
    PRIMARY KEY (agency_id, incident, sha256)
);

-- Where periods end, and from which one the chain begins once those before were dropped.
CREATE TABLE IF NOT EXISTS fourth.seal (
    agency_id     text    NOT NULL,                     -- whose journal
    through       bigint  NOT NULL,                     -- sequence of the last entry of the period
    hash          bytea   NOT NULL CHECK (octet_length(hash) = 32), -- chain value of that entry
    entries       bigint  NOT NULL,                     -- entries of the period
    ended_at      text    NOT NULL,                     -- when its last entry happened, RFC 3339, UTC
    dropped       boolean NOT NULL,                     -- true: the entries up to here are gone; the chain begins after the last of these
    PRIMARY KEY (agency_id, through)
);

-- A name for a call goes with its incident.
CREATE INDEX IF NOT EXISTS call_name_of_incident ON fourth.call_name (agency_id, incident);

CREATE OR REPLACE FUNCTION fourth.entries_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND EXISTS (SELECT FROM fourth.seal
            WHERE agency_id = OLD.agency_id AND dropped AND OLD.sequence <= through) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'entries are never updated, and deleted by whole sealed periods only';
END $$;

-- An append of the adapter's own events with what belongs to it beside, in one commit: a person forgotten, a period sealed,
-- or a period dropped. What the caller looked at must still be so (SQLSTATE FO004 otherwise).
CREATE OR REPLACE FUNCTION fourth.keep(
    p_agency_id      text,
    p_adapter        text,      -- who appends
    p_epoch          bigint,    -- the epoch it joined under
    p_commit         bytea,     -- key of this append, 16 random bytes
    p_at             text,      -- the instant of its events
    p_kinds          text[],    -- of each event: its name
    p_event_versions integer[], -- of each event: version of its shape
    p_payloads       bytea[],   -- of each event: its JSON
    p_forget         text,      -- the incident whose people are forgotten; null for none
    p_version        bigint,    -- the version at which it was seen to rest
    p_digests        text[],    -- digests of its records, as an earlier program kept them
    p_seal           bigint,    -- sequence of the last entry of a period to seal; null for none
    p_hash           bytea,     -- chain value of that entry
    p_entries        bigint,    -- entries of the period
    p_ended_at       text,      -- when the last of them happened
    p_drop           bigint,    -- sequence of the last entry of a sealed period to drop; null for none
    p_roster         bigint     -- sequence of the roster in force, which is said again; 0 without one
) RETURNS TABLE (batch integer, sequence bigint, version bigint, hash bytea) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- What is found from here on stays so until the commit.
    PERFORM 1 FROM fourth.agency WHERE agency_id = p_agency_id FOR UPDATE;
    IF (p_forget IS NOT NULL AND NOT EXISTS (SELECT FROM fourth.incident
            WHERE agency_id = p_agency_id AND incident = p_forget AND version = p_version))
        OR (p_seal IS NOT NULL AND (NOT EXISTS (SELECT FROM fourth.entry
            WHERE agency_id = p_agency_id AND sequence = p_seal AND hash = p_hash)
            OR EXISTS (SELECT FROM fourth.seal WHERE agency_id = p_agency_id AND through > p_seal - p_entries)))
        OR (p_drop IS NOT NULL AND (NOT EXISTS (SELECT FROM fourth.seal
            WHERE agency_id = p_agency_id AND through = p_drop AND NOT dropped)
            OR EXISTS (SELECT FROM fourth.entry
            WHERE agency_id = p_agency_id AND kind = 'roster-set' AND sequence > p_roster)
            OR EXISTS (SELECT FROM fourth.incident WHERE agency_id = p_agency_id AND NOT rests AND EXISTS (
                SELECT FROM fourth.entry WHERE entry.agency_id = p_agency_id AND entry.incident = incident.incident
                    AND entry.sequence <= p_drop))))
    THEN
        RAISE EXCEPTION 'what was looked at has changed' USING ERRCODE = 'FO004';
    END IF;
    IF p_forget IS NOT NULL THEN
        DELETE FROM fourth.incident_key WHERE agency_id = p_agency_id AND incident = p_forget;
        DELETE FROM fourth.record WHERE agency_id = p_agency_id AND incident = p_forget;
        DELETE FROM fourth.content WHERE agency_id = p_agency_id AND sha256 = ANY (p_digests);
    END IF;
    IF p_seal IS NOT NULL THEN
        INSERT INTO fourth.seal (agency_id, through, hash, entries, ended_at, dropped)
            VALUES (p_agency_id, p_seal, p_hash, p_entries, p_ended_at, false);
    END IF;
    IF p_drop IS NOT NULL THEN
        UPDATE fourth.seal SET dropped = true WHERE agency_id = p_agency_id AND through <= p_drop;
    END IF;
    RETURN QUERY SELECT * FROM fourth.append(
        p_agency_id, p_adapter, p_epoch, p_commit, ARRAY[NULL]::text[], ARRAY[0]::bigint[], ARRAY[p_at], ARRAY[false],
        ARRAY[NULL]::text[], ARRAY[NULL]::text[], ARRAY[NULL]::text[], ARRAY[NULL]::text[],
        ARRAY[cardinality(p_kinds)], p_kinds, p_event_versions, p_payloads, ARRAY[NULL]::text[], ARRAY[NULL]::bytea[]);
END $$;

-- Takes some of the oldest entries of dropped periods away, with what is kept of incidents that have none left; tells how
-- many. Under the head's lock, so that no incident wakes while it is taken away; appends come between two of these.
CREATE OR REPLACE FUNCTION fourth.take_away(p_agency_id text, p_through bigint, p_limit bigint) RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    last  bigint;
    taken bigint;
    ended text[];
BEGIN
    PERFORM 1 FROM fourth.agency WHERE agency_id = p_agency_id FOR UPDATE;
    SELECT max(sequence), count(*) INTO last, taken FROM (
        SELECT sequence FROM fourth.entry
        WHERE agency_id = p_agency_id AND sequence <= p_through ORDER BY sequence LIMIT p_limit
    ) AS oldest;
    DELETE FROM fourth.content WHERE agency_id = p_agency_id AND sha256 IN (
        SELECT convert_from(payload, 'UTF8')::json #>> '{identity,content_sha256}' FROM fourth.entry
        WHERE agency_id = p_agency_id AND sequence <= last AND kind = 'record-received');
    SELECT array_agg(DISTINCT incident) INTO ended FROM fourth.entry AS gone
        WHERE agency_id = p_agency_id AND sequence <= last AND incident IS NOT NULL AND NOT EXISTS (
            SELECT FROM fourth.entry WHERE entry.agency_id = p_agency_id
                AND entry.incident = gone.incident AND entry.sequence > last);
    DELETE FROM fourth.incident_key WHERE agency_id = p_agency_id AND incident = ANY (ended);
    DELETE FROM fourth.record WHERE agency_id = p_agency_id AND incident = ANY (ended);
    DELETE FROM fourth.call_name WHERE agency_id = p_agency_id AND incident = ANY (ended);
    DELETE FROM fourth.incident WHERE agency_id = p_agency_id AND incident = ANY (ended);
    DELETE FROM fourth.entry WHERE agency_id = p_agency_id AND sequence <= last;
    RETURN taken;
END $$;
