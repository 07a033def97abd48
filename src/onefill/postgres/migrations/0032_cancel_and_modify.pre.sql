-- Adds only: which order a cancel or a modification is about, in our words and in the broker's.
-- Locks: the table for a moment. Back: drop the columns, once no such intent is live.

ALTER TABLE order_intents
    ADD COLUMN target text REFERENCES order_intents (client_order_id),
    ADD COLUMN target_order_id text,
    ADD CONSTRAINT order_intents_changes_have_targets
        CHECK ((verb = 'place') = (target IS NULL)) NOT VALID;
CREATE INDEX order_intents_target ON order_intents (target) WHERE target IS NOT NULL;
