-- Adds only: the price at which an order that waits at the broker is triggered.
-- Locks: the table for a moment. Back: drop the column, once no conditional order is live.

ALTER TABLE order_intents
    ADD COLUMN trigger_price numeric,
    ADD CONSTRAINT order_intents_conditional_orders_are_triggered
        CHECK ((order_type IN ('STOP_MARKET', 'TAKE_PROFIT_MARKET')) = (trigger_price IS NOT NULL))
        NOT VALID;
