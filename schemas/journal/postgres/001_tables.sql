-- The tables of the shared journal (PostgreSQL 15 or later, format 1). Run once, by the first adapter or by a DBA; then those of 004.
-- `agency_id` leads every key: on Citus, distribute every table by it (ARCHITECTURE.md, "A province or a country").

CREATE SCHEMA IF NOT EXISTS fourth;

-- One row an agency: where its chain ends. Locked by whoever appends, so that there is one order.
CREATE TABLE fourth.agency (
    agency_id     text    NOT NULL,                     -- whose journal
    format        integer NOT NULL,                     -- version of these tables and of the chain's canonical form; this is 1
    head_sequence bigint  NOT NULL,                     -- sequence of the last entry, 0 while there is none; written in the same commit as the entry
    head_hash     bytea   NOT NULL,                     -- chain value of the last entry, 32 bytes; so that a lost tail is found
    PRIMARY KEY (agency_id)
);

-- What happened, in one order an agency. Never updated, and deleted from by whole sealed periods only (004). No personal data.
CREATE TABLE fourth.entry (
    agency_id     text    NOT NULL,                     -- whose journal
    sequence      bigint  NOT NULL,                     -- position in the agency's order, from 1, without gaps
    subject       text    NOT NULL CHECK (subject IN ('incident', 'adapter')), -- what the entry is about
    incident      text    CHECK ((subject = 'incident') = (incident IS NOT NULL)), -- the adapter's opaque name of the incident; null for the adapter
    version       bigint  NOT NULL CHECK (version >= 0), -- version of the incident after this entry, from 1; 0 for the adapter
    at            text    NOT NULL,                     -- when it happened by the adapter's civil clock, RFC 3339, UTC, up to nanoseconds: text, since a timestamp keeps microseconds only
    kind          text    NOT NULL,                     -- name of the event (`offered`, `accepted`, …), equal to the payload's `event`
    event_version integer NOT NULL,                     -- version of the events' shape; a reader stops at one it does not know
    payload       bytea   NOT NULL,                     -- the event as JSON, UTF-8: exactly the bytes that the chain commits to
    hash          bytea   NOT NULL CHECK (octet_length(hash) = 32), -- chain value: SHA-256 over 0x01, the hash of the entry before, and this entry (src/journal/chain.rs)
    adapter       text    NOT NULL,                     -- which adapter appended it; beside the chain
    PRIMARY KEY (agency_id, sequence),
    UNIQUE (agency_id, incident, version)               -- one entry per version of an incident: the last line of defence behind the optimistic check
);

-- The newest entries of the kinds that a restart reads back.
CREATE INDEX entry_of_kind ON fourth.entry (agency_id, kind, sequence)
    WHERE kind IN ('record-received', 'assessed', 'roster-set', 'undeliverable', 'redriven');

CREATE FUNCTION fourth.entries_stay() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'entries are never updated or deleted'; END $$;

CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE ON fourth.entry
    FOR EACH ROW EXECUTE FUNCTION fourth.entries_stay();

-- Call records as an earlier program kept them; today they go into `record` (004), and are still read from here. Personal data.
CREATE TABLE fourth.content (
    agency_id     text    NOT NULL,                     -- whose journal
    sha256        text    NOT NULL CHECK (octet_length(sha256) = 64), -- SHA-256 of the bytes, lower-case hex
    bytes         bytea   NOT NULL,                     -- the record's bytes as they came
    stored_at     text    NOT NULL,                     -- when it was first stored, RFC 3339, UTC; what retention counts from
    PRIMARY KEY (agency_id, sha256)
);

-- One row an incident: how it stands, and which adapter fires its deadlines and delivers its effects. Derived from `entry`, except the adapter.
CREATE TABLE fourth.incident (
    agency_id     text    NOT NULL,                     -- whose journal
    incident      text    NOT NULL,                     -- the adapter's opaque name
    version       bigint  NOT NULL CHECK (version > 0), -- version after its last entry: the optimistic check
    adapter       text    NOT NULL,                     -- who holds it: the adapter that appended last, or took it over
    rests         boolean NOT NULL,                     -- true where nothing is left to do: such an incident needs nobody to hold it
    called_by     text,                                 -- the sender's agency, whose name for the incident `called` is; null before a record was applied
    called        text,                                 -- the sender's name for the incident
    began         text,                                 -- the first instant known of it, RFC 3339, UTC
    closed_at     text COLLATE "C",                     -- when it ended, RFC 3339, UTC; null while it is open
    PRIMARY KEY (agency_id, incident)
) WITH (fillfactor = 70);

CREATE INDEX incident_at_work ON fourth.incident (agency_id, adapter) WHERE NOT rests;
CREATE INDEX incident_at_rest ON fourth.incident (agency_id, closed_at) WHERE rests;

-- One row an adapter: its right to append. An append under an older epoch is refused (fencing).
CREATE TABLE fourth.writer (
    agency_id     text    NOT NULL,                     -- whose journal
    adapter       text    NOT NULL,                     -- the adapter's configured name
    epoch         bigint  NOT NULL,                     -- raised whenever the adapter joins, and when another finds it dead
    instance      bytea   NOT NULL,                     -- 16 random bytes of the process that joined last: two processes under one name are found out
    last_commit   bytea,                                -- key of its last append, 16 random bytes: what an unknown outcome is resolved by
    first_sequence bigint,                              -- first entry of that append; null where it wrote none
    last_sequence bigint,                               -- last entry of that append; null where it wrote none
    PRIMARY KEY (agency_id, adapter)
) WITH (fillfactor = 50);

-- One row a living adapter: until when it is believed to be alive, by the database's clock.
CREATE TABLE fourth.lease (
    agency_id     text    NOT NULL,                     -- whose journal
    adapter       text    NOT NULL,                     -- the adapter's configured name
    until         timestamptz NOT NULL,                 -- after this instant others take over what it holds
    PRIMARY KEY (agency_id, adapter)
) WITH (fillfactor = 50);

-- One row an adapter: a commit of it proves that all that is visible here is as durable as commits are.
CREATE TABLE fourth.settled (
    agency_id     text    NOT NULL,                     -- whose journal
    adapter       text    NOT NULL,                     -- the adapter's configured name
    times         bigint  NOT NULL,                     -- how often it asked
    PRIMARY KEY (agency_id, adapter)
) WITH (fillfactor = 50);

-- One row a sender's name for a call: which incident it is, so that two adapters that meet a new call at once make one incident of it.
CREATE TABLE fourth.call_name (
    agency_id     text    NOT NULL,                     -- whose journal
    name_sha256   bytea   NOT NULL CHECK (octet_length(name_sha256) = 32), -- SHA-256 over the sender's name for the call and the incident that bore the name before
    incident      text    NOT NULL,                     -- the adapter's opaque name
    PRIMARY KEY (agency_id, name_sha256)
);
