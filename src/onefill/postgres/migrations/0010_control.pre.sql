-- Adds only: old code keeps working (it reads none of these). Locks: none over a second.
-- Back: nothing to do; drop the columns and the table once no newer program runs.

-- The key of the advisory lock that the holder's own session keeps: when nobody holds that lock
-- any more, the holder is dead. Null where it can't be kept (a transaction pooler), or by old code.
ALTER TABLE leases ADD COLUMN session_key bigint;
ALTER TABLE instance_metadata
    ADD COLUMN session_key bigint,
    ADD COLUMN preferred   boolean NOT NULL DEFAULT false,
    ADD COLUMN may_succeed text NOT NULL DEFAULT 'auto',
    ADD COLUMN executes    boolean NOT NULL DEFAULT true;

-- One takeover for each epoch: the key makes rapid clicks and two requesters one operation.
CREATE TABLE handover_requests (
    id             uuid NOT NULL,
    resource       text NOT NULL,
    expected_epoch bigint NOT NULL,
    requester      text NOT NULL,
    boot           uuid NOT NULL,
    by_force       boolean NOT NULL,
    step           text NOT NULL,
    steps          jsonb NOT NULL, -- [{step, at, by, detail}], in order
    requested_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    is_ready       boolean NOT NULL DEFAULT false,
    ended_at       timestamptz,
    CONSTRAINT handover_requests_pkey PRIMARY KEY (resource, expected_epoch),
    CONSTRAINT handover_requests_id_key UNIQUE (id)
);

-- In active-active mode a claim rests on the lane's lock and the intent's row, not on an epoch.
ALTER TABLE order_attempts ALTER COLUMN epoch DROP NOT NULL;
