-- Adds only: who knows of a quarantined order, and an index for what is looked at slowly.
-- Locks: the table for a moment. Back: drop the columns and the index; nothing decides by them.

ALTER TABLE order_intents
    ADD COLUMN acknowledged_by text,
    ADD COLUMN acknowledged_at timestamptz;

CREATE INDEX order_intents_ruled_out ON order_intents (updated_at) WHERE state = 'NOT_PLACED';
