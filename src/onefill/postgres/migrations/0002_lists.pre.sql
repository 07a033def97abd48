-- Adds only: indexes for what people list; nothing decides by them. Locks: writes to each table
-- wait while its index is built (a second for each million rows). Back: drop the indexes.

-- A signal is written three times in its life, each time into every index: so only what narrows
-- a list down most, and times by blocks (BRIN), which cost a signal next to nothing.
CREATE INDEX signal_log_instrument ON signal_log (instrument, id);
CREATE INDEX signal_log_received ON signal_log USING brin (received_at)
    WITH (pages_per_range = 16, autosummarize = on);
-- What a person looks for first, and what is rare.
CREATE INDEX signal_log_troubled ON signal_log (processing_status, id)
    WHERE processing_status IN ('rejected', 'blocked', 'expired', 'failed', 'in_doubt');

CREATE INDEX order_intents_newest ON order_intents (created_at, client_order_id);
CREATE INDEX order_intents_lane ON order_intents (lane, created_at, client_order_id);
-- For a count on each look at the status; empty where all is well.
CREATE INDEX order_intents_quarantined ON order_intents (created_at) WHERE state = 'QUARANTINED';
-- Asked before a portfolio's settings change; empty on paper.
CREATE INDEX order_intents_live ON order_intents (portfolio) WHERE venue = 'live';

CREATE INDEX portfolio_positions_newest ON portfolio_positions (opened_at, position_id);

CREATE INDEX lanes_blocked ON lanes (lane) WHERE blocked IS NOT NULL;
