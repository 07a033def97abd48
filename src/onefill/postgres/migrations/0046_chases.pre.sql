-- Adds only: how far an order has come that follows its price (null: it does not).
-- Locks: the table for a moment. Back: drop the columns, once no such order is live.

ALTER TABLE order_intents
    ADD COLUMN chase_round integer,
    ADD COLUMN chase_price numeric,
    ADD COLUMN chase_since timestamptz,
    ADD COLUMN chase_step integer NOT NULL DEFAULT 0,
    ADD COLUMN chase_steps_max integer NOT NULL DEFAULT 0;
CREATE INDEX order_intents_chased ON order_intents (updated_at)
    WHERE chase_round IS NOT NULL AND state IN ('ACKED', 'PARTIALLY_FILLED');
