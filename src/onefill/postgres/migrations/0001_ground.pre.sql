-- Adds only. An empty database becomes the trade path's: leases, signals, intents, positions.
-- Locks: none of note, all tables are new. Back: drop the schema; nothing else uses it.

CREATE TABLE leases (
    resource    text PRIMARY KEY,
    epoch       bigint NOT NULL,
    holder      text,
    boot        uuid,
    barred      boolean NOT NULL DEFAULT false,
    lease_until timestamptz,
    -- The epoch is part of a key, so that changing it waits for open fences (FOR KEY SHARE),
    -- while renewals, which touch no key column, never wait.
    CONSTRAINT leases_resource_epoch_key UNIQUE (resource, epoch),
    CONSTRAINT leases_epoch_positive CHECK (epoch >= 0)
) WITH (fillfactor = 10);

CREATE TABLE leadership_history (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resource    text NOT NULL,
    epoch       bigint NOT NULL,
    instance    text NOT NULL,
    boot        uuid NOT NULL,
    hostname    text,
    became_at   timestamptz NOT NULL,
    released_at timestamptz,
    reason      text NOT NULL,
    end_reason  text,
    CONSTRAINT leadership_history_one_holder UNIQUE (resource, epoch)
);

CREATE TABLE instance_metadata (
    instance              text PRIMARY KEY,
    boot                  uuid NOT NULL,
    started_at            timestamptz NOT NULL,
    last_heartbeat        timestamptz NOT NULL,
    last_signal_processed timestamptz,
    is_leader             boolean NOT NULL DEFAULT false,
    leader_acquired_at    timestamptz,
    state                 text NOT NULL,
    status                text NOT NULL DEFAULT 'active',
    hostname              text,
    port                  integer,
    url                   text,
    version               text NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX instance_metadata_heartbeats ON instance_metadata (last_heartbeat);
CREATE INDEX instance_metadata_leaders ON instance_metadata (last_heartbeat) WHERE is_leader;

CREATE TABLE settings (
    key        text PRIMARY KEY,
    value      text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by text NOT NULL
);

CREATE TABLE audit_log (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor   text NOT NULL,
    address text,
    action  text NOT NULL,
    details text NOT NULL DEFAULT '{}'
);

-- Signals ------------------------------------------------------------------------------------

CREATE TABLE signal_log (
    id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint           bytea NOT NULL,
    lane                  text NOT NULL,
    engine                text NOT NULL,
    kind                  text NOT NULL,
    portfolio             text NOT NULL,
    instrument            text NOT NULL,
    signal_time           timestamptz NOT NULL,
    received_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    received_by           text NOT NULL,
    payload               text NOT NULL, -- text, not jsonb: stored as it is, 18 % faster
    processing_status     text NOT NULL DEFAULT 'received',
    processed_by_instance text,
    reason                text,
    decided_at            timestamptz,
    ended_at              timestamptz,
    duplicates            integer NOT NULL DEFAULT 0,
    last_duplicate_at     timestamptz,
    CONSTRAINT signal_log_fingerprint_key UNIQUE (fingerprint),
    CONSTRAINT signal_log_fingerprint_length CHECK (octet_length(fingerprint) = 32)
) WITH (fillfactor = 85);
CREATE INDEX signal_log_undecided ON signal_log (lane, signal_time, id)
    WHERE processing_status = 'received';

-- One row a step of a signal's life; the first step, received, is the signal's own row.
-- No foreign key to signal_log: its rows are archived by age, the timeline with them.
CREATE TABLE signal_events (
    signal_id bigint NOT NULL,
    at        timestamptz NOT NULL,
    status    text NOT NULL,
    reason    text,
    numbers   text,
    instance  text NOT NULL,
    epoch     bigint
);
CREATE INDEX signal_events_signal ON signal_events (signal_id, at);

-- Portfolios ---------------------------------------------------------------------------------

CREATE TABLE portfolio_state (
    portfolio           text PRIMARY KEY,
    initial_capital     numeric NOT NULL,
    realised_pnl        numeric NOT NULL DEFAULT 0,
    movements           numeric NOT NULL DEFAULT 0,
    closed_equity       numeric NOT NULL,
    equity_high         numeric NOT NULL,
    total_risk_amount   numeric NOT NULL DEFAULT 0,
    total_risk_percent  numeric NOT NULL DEFAULT 0,
    total_vol_amount    numeric NOT NULL DEFAULT 0,
    total_vol_percent   numeric NOT NULL DEFAULT 0,
    margin_used         numeric NOT NULL DEFAULT 0,
    sizing              text NOT NULL DEFAULT 'own' CHECK (sizing IN ('own', 'signal')),
    time_basis          text NOT NULL DEFAULT 'now' CHECK (time_basis IN ('now', 'signal')),
    version             bigint NOT NULL DEFAULT 0,
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

CREATE TABLE capital_ledger (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    portfolio text NOT NULL REFERENCES portfolio_state (portfolio),
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    amount    numeric NOT NULL, -- deposits positive, withdrawals negative
    note      text NOT NULL DEFAULT '',
    actor     text NOT NULL
);

CREATE TABLE pyramiding_state (
    portfolio          text NOT NULL,
    instrument         text NOT NULL,
    last_pyramid_price numeric,
    base_position_id   text, -- null once the base is closed
    version            bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (portfolio, instrument)
);

-- A lane is a row, locked by whoever decides its next step.
CREATE TABLE lanes (
    lane          text PRIMARY KEY,
    portfolio     text NOT NULL,
    instrument    text NOT NULL,
    blocked       text,
    blocked_at    timestamptz,
    last_decided  timestamptz -- signal time of the latest signal decided here
) WITH (fillfactor = 50);

CREATE TABLE portfolio_positions (
    position_id      text PRIMARY KEY,
    portfolio        text NOT NULL,
    instrument       text NOT NULL,
    lane             text NOT NULL,
    slot             text NOT NULL,
    status           text NOT NULL
        CHECK (status IN ('pending', 'open', 'partial', 'closing', 'closed')),
    is_base_position boolean NOT NULL,
    opened_at        timestamptz NOT NULL,
    closed_at        timestamptz,
    lots             integer NOT NULL,
    units_per_lot    integer NOT NULL,
    point_value      numeric NOT NULL,
    margin_per_lot   numeric NOT NULL,
    signal_price     numeric,
    entry_price      numeric,
    stop             numeric,
    initial_stop     numeric,
    highest_close    numeric,
    atr              numeric,
    last_price       numeric,
    limiter          text,
    strike           integer,
    expiry           date,
    exits            integer NOT NULL DEFAULT 0,
    next_exit_at     timestamptz,
    realised_pnl     numeric NOT NULL DEFAULT 0,
    risk_contribution numeric NOT NULL DEFAULT 0,
    vol_contribution  numeric NOT NULL DEFAULT 0,
    reason           text,
    version          bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX portfolio_positions_one_per_slot
    ON portfolio_positions (portfolio, instrument, slot) WHERE status <> 'closed';
CREATE INDEX portfolio_positions_lane ON portfolio_positions (lane) WHERE status <> 'closed';
CREATE INDEX portfolio_positions_exits_due ON portfolio_positions (next_exit_at)
    WHERE status = 'closing';

CREATE TABLE position_legs (
    position_id     text NOT NULL REFERENCES portfolio_positions (position_id),
    leg             text NOT NULL,
    broker          text NOT NULL,
    account         text NOT NULL,
    symbol          text NOT NULL,
    exchange        text NOT NULL,
    side            text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity        numeric NOT NULL,
    multiplier      numeric NOT NULL,
    bought_quantity numeric NOT NULL DEFAULT 0,
    bought_value    numeric NOT NULL DEFAULT 0,
    sold_quantity   numeric NOT NULL DEFAULT 0,
    sold_value      numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (position_id, leg)
) WITH (fillfactor = 70);

-- Orders -------------------------------------------------------------------------------------

CREATE TABLE order_intents (
    client_order_id text PRIMARY KEY,
    lane            text NOT NULL,
    portfolio       text NOT NULL,
    instrument      text NOT NULL,
    signal_id       bigint,
    position_id     text REFERENCES portfolio_positions (position_id),
    source          text NOT NULL,
    leg             text NOT NULL,
    action          text NOT NULL,
    n               integer NOT NULL,
    verb            text NOT NULL CHECK (verb IN ('place', 'modify', 'cancel')),
    broker          text NOT NULL,
    account         text NOT NULL,
    venue           text NOT NULL CHECK (venue IN ('paper', 'live')),
    symbol          text NOT NULL,
    exchange        text NOT NULL,
    side            text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity        numeric NOT NULL CHECK (quantity > 0),
    order_type      text NOT NULL,
    price           numeric,
    reduce_only     boolean NOT NULL,
    adds_exposure   boolean NOT NULL,
    after           text REFERENCES order_intents (client_order_id),
    valid_until     timestamptz,
    state           text NOT NULL DEFAULT 'NEW',
    attempt         integer NOT NULL DEFAULT 0,
    -- of the current attempt:
    instance        text,
    boot            uuid,
    epoch           bigint,
    signed_at       timestamptz,
    expires_at      timestamptz,
    send_by         timestamptz,
    witnessed       text[] NOT NULL DEFAULT '{}',
    broker_order_id text,
    filled_quantity numeric NOT NULL DEFAULT 0,
    filled_value    numeric NOT NULL DEFAULT 0,
    reason          text,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT order_intents_action_key UNIQUE (source, leg, action, n)
) WITH (fillfactor = 60);
CREATE INDEX order_intents_new ON order_intents (created_at) WHERE state = 'NEW';
CREATE INDEX order_intents_sent ON order_intents (updated_at)
    WHERE state IN ('SENDING', 'IN_DOUBT', 'ACKED', 'PARTIALLY_FILLED', 'QUARANTINED');
CREATE INDEX order_intents_lane_live ON order_intents (lane)
    WHERE state IN ('NEW', 'SENDING', 'IN_DOUBT', 'ACKED', 'PARTIALLY_FILLED', 'QUARANTINED');
CREATE INDEX order_intents_position ON order_intents (position_id);
CREATE INDEX order_intents_signal ON order_intents (signal_id);
CREATE INDEX order_intents_broker_order ON order_intents (broker, broker_order_id);
CREATE INDEX order_intents_after ON order_intents (after) WHERE after IS NOT NULL;

-- Every attempt that was ever committed as SENDING, and all that was ever heard of it.
CREATE TABLE order_attempts (
    client_order_id text NOT NULL REFERENCES order_intents (client_order_id),
    attempt         integer NOT NULL,
    instance        text NOT NULL,
    boot            uuid NOT NULL,
    epoch           bigint NOT NULL,
    claimed_at      timestamptz NOT NULL,
    signed_at       timestamptz NOT NULL,
    expires_at      timestamptz,
    send_by         timestamptz NOT NULL,
    request_hash    bytea NOT NULL,
    outcome         text,
    outcome_at      timestamptz,
    detail          text,
    broker_order_id text,
    PRIMARY KEY (client_order_id, attempt)
);

CREATE TABLE fills (
    client_order_id     text NOT NULL REFERENCES order_intents (client_order_id),
    cumulative_quantity numeric NOT NULL,
    position_id         text,
    broker              text NOT NULL,
    account             text NOT NULL,
    symbol              text NOT NULL,
    side                text NOT NULL,
    quantity            numeric NOT NULL CHECK (quantity > 0),
    value               numeric NOT NULL,
    price               numeric NOT NULL,
    trade_ids           text[] NOT NULL DEFAULT '{}',
    booked_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (client_order_id, cumulative_quantity)
);
CREATE INDEX fills_position ON fills (position_id);
CREATE INDEX fills_booked ON fills (booked_at);

CREATE TABLE broker_trades (
    -- One row for each execution that the broker gave an id; it can be booked once only.
    broker          text NOT NULL,
    account         text NOT NULL,
    symbol          text NOT NULL,
    trade_id        text NOT NULL,
    client_order_id text NOT NULL REFERENCES order_intents (client_order_id),
    quantity        numeric NOT NULL,
    price           numeric NOT NULL,
    PRIMARY KEY (broker, account, symbol, trade_id)
);

CREATE TABLE reconciliations (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    instance    text NOT NULL,
    epoch       bigint,
    trigger     text NOT NULL,
    clean       boolean NOT NULL,
    report      text NOT NULL
);

-- The older layout's names for what the legs hold.
CREATE VIEW portfolio_positions_flat AS
SELECT p.*,
       ce.symbol AS ce_symbol, pe.symbol AS pe_symbol, future.symbol AS futures_symbol,
       ce_intent.broker_order_id AS ce_order_id, pe_intent.broker_order_id AS pe_order_id,
       future_intent.broker_order_id AS futures_order_id
FROM portfolio_positions p
LEFT JOIN position_legs ce ON ce.position_id = p.position_id AND ce.leg = 'ce'
LEFT JOIN position_legs pe ON pe.position_id = p.position_id AND pe.leg = 'pe'
LEFT JOIN position_legs future ON future.position_id = p.position_id AND future.leg = 'fut'
LEFT JOIN LATERAL (
    SELECT broker_order_id FROM order_intents i
    WHERE i.position_id = p.position_id AND i.leg = 'ce' AND i.action = 'open' LIMIT 1
) ce_intent ON true
LEFT JOIN LATERAL (
    SELECT broker_order_id FROM order_intents i
    WHERE i.position_id = p.position_id AND i.leg = 'pe' AND i.action = 'open' LIMIT 1
) pe_intent ON true
LEFT JOIN LATERAL (
    SELECT broker_order_id FROM order_intents i
    WHERE i.position_id = p.position_id AND i.leg = 'fut' AND i.action = 'open' LIMIT 1
) future_intent ON true;
