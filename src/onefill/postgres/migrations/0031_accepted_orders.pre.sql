-- Adds only: orders at a broker that carry our mark without an intent, and that a person has
-- looked at. Locks: none, the table is new. Back: drop the table; they block again.

CREATE TABLE accepted_orders (
    broker          text NOT NULL,
    account         text NOT NULL,
    broker_order_id text NOT NULL,
    accepted_by     text NOT NULL,
    accepted_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    note            text NOT NULL,
    CONSTRAINT accepted_orders_key PRIMARY KEY (broker, account, broker_order_id)
);
