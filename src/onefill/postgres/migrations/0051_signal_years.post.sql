-- The signal log is partitioned by years, so that it can grow for ever: by `signal_second`, the time
-- as the fingerprint holds it, so that UNIQUE holds over all of them. All rows and numbers stay.
--
-- Removes UNIQUE (fingerprint), which an older program names when it logs a signal. One that still
-- runs goes on deciding, sending and settling, but answers each alert with 503 and keeps it in its
-- spool, until a newer one takes its place and takes the spool in; nothing is lost, and nothing is
-- logged twice. One that is started refuses (SchemaTooNew).
--
-- Locks: the table, for reading too, while its rows are copied and indexed: nine seconds for each
-- million of rows on two busy cores. Alerts are answered with 503 and spooled meanwhile. Until it
-- ends it takes once more the table's place on the disk. A view of your own on the table stops it,
-- and nothing is changed then; rights that you granted on the table have to be granted again.
--
-- Back, when no newer program runs (the same time, the same locks):
--> BEGIN;
--> CREATE TABLE signal_log_plain (LIKE signal_log INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
-->     WITH (fillfactor = 85);
--> INSERT INTO signal_log_plain SELECT * FROM signal_log;
--> ALTER SEQUENCE signal_log_id_seq OWNED BY NONE;
--> DROP TABLE signal_log;
--> ALTER TABLE signal_log_plain RENAME TO signal_log;
--> ALTER TABLE signal_log DROP COLUMN signal_second, ADD PRIMARY KEY (id),
-->     ADD CONSTRAINT signal_log_fingerprint_key UNIQUE (fingerprint);
--> ALTER SEQUENCE signal_log_id_seq OWNED BY signal_log.id;
--> CREATE INDEX signal_log_undecided ON signal_log (lane, signal_time, id)
-->     WHERE processing_status = 'received';
--> CREATE INDEX signal_log_instrument ON signal_log (instrument, id);
--> CREATE INDEX signal_log_received ON signal_log USING brin (received_at)
-->     WITH (pages_per_range = 16, autosummarize = on);
--> CREATE INDEX signal_log_troubled ON signal_log (processing_status, id)
-->     WHERE processing_status IN ('rejected', 'blocked', 'expired', 'failed', 'in_doubt');
--> DELETE FROM schema_migrations WHERE name = '0051_signal_years.post.sql';
--> COMMIT;

-- At once in the strongest mode: whoever asked for less first, and for more then, would deadlock
-- with a decider that has read the table and is about to write it.
LOCK TABLE signal_log IN ACCESS EXCLUSIVE MODE;
ALTER TABLE signal_log RENAME TO signal_log_before;
ALTER SEQUENCE signal_log_id_seq RENAME TO signal_log_before_id_seq;

-- A sequence and no identity: PostgreSQL 17 attaches no table with one, and each version copies
-- them in another way. It goes on where it was, and not behind the newest row: what was drawn for a
-- row that was never committed may stand in somebody's log.
CREATE SEQUENCE signal_log_id_seq AS bigint;
SELECT setval('signal_log_id_seq', last_value, is_called) FROM signal_log_before_id_seq;

CREATE TABLE signal_log (
    -- Drawn by the statement itself where a group is inserted in the order of fingerprints, so that
    -- groups never deadlock, but numbered in the order of arrival.
    id                    bigint NOT NULL DEFAULT nextval('signal_log_id_seq'),
    fingerprint           bytea NOT NULL,
    lane                  text NOT NULL,
    engine                text NOT NULL,
    kind                  text NOT NULL,
    portfolio             text NOT NULL,
    instrument            text NOT NULL,
    signal_time           timestamptz NOT NULL,
    signal_second         timestamptz NOT NULL, -- core/signal.second_of(signal_time)
    received_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    received_by           text NOT NULL,
    payload               text NOT NULL,
    processing_status     text NOT NULL DEFAULT 'received',
    processed_by_instance text,
    reason                text,
    decided_at            timestamptz,
    ended_at              timestamptz,
    duplicates            integer NOT NULL DEFAULT 0,
    last_duplicate_at     timestamptz,
    last_duplicate_layer  text,
    CONSTRAINT signal_log_fingerprint_length CHECK (octet_length(fingerprint) = 32)
) PARTITION BY RANGE (signal_second);
ALTER SEQUENCE signal_log_id_seq OWNED BY signal_log.id;

-- All times so far, up to the end of this year; postgres/years.py makes the years behind it. The end
-- is put together from its year: where a server writes times with names of zones, it reads them as
-- others (IST is India's, and Israel's).
DO $$
DECLARE
    newest timestamptz := (SELECT max(signal_time) FROM signal_log_before);
    next_year integer := 1 + extract(
        year FROM greatest(clock_timestamp(), newest) AT TIME ZONE 'UTC');
BEGIN
    EXECUTE format(
        'CREATE TABLE signal_log_first PARTITION OF signal_log '
        'FOR VALUES FROM (MINVALUE) TO (''%s-01-01 00:00:00+00'') WITH (fillfactor = 85)',
        next_year);
END $$;

-- Cut off as Python's int() does, which the fingerprint was made with.
INSERT INTO signal_log (
    id, fingerprint, lane, engine, kind, portfolio, instrument, signal_time, signal_second,
    received_at, received_by, payload, processing_status, processed_by_instance, reason, decided_at,
    ended_at, duplicates, last_duplicate_at, last_duplicate_layer)
SELECT id, fingerprint, lane, engine, kind, portfolio, instrument, signal_time,
    to_timestamp(trunc(extract(epoch FROM signal_time))),
    received_at, received_by, payload, processing_status, processed_by_instance, reason, decided_at,
    ended_at, duplicates, last_duplicate_at, last_duplicate_layer
FROM signal_log_before;
DROP TABLE signal_log_before;

ALTER TABLE signal_log
    ADD CONSTRAINT signal_log_pkey PRIMARY KEY (id, signal_second),
    ADD CONSTRAINT signal_log_fingerprint_key UNIQUE (fingerprint, signal_second);
CREATE INDEX signal_log_undecided ON signal_log (lane, signal_time, id)
    WHERE processing_status = 'received';
CREATE INDEX signal_log_instrument ON signal_log (instrument, id);
CREATE INDEX signal_log_received ON signal_log USING brin (received_at)
    WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX signal_log_troubled ON signal_log (processing_status, id)
    WHERE processing_status IN ('rejected', 'blocked', 'expired', 'failed', 'in_doubt');
-- Nobody plans blindly afterwards; of the whole, autovacuum never makes any.
ANALYZE signal_log;
