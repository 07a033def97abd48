-- Adds what brokers' rate limits are kept with, and an index that finds exits first in place of one
-- by age alone; older programs ignore the first and read by the second as well. Locks: writes to
-- order_intents wait while the index is built (a second for each million unsent orders). Back: drop
-- both tables, and make order_intents_new again as 0001 has it.

CREATE TABLE rate_holds (
    account    text PRIMARY KEY,
    held_until timestamptz NOT NULL,
    reason     text NOT NULL
);

CREATE TABLE rate_grants (
    grant_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account  text NOT NULL,
    weight   integer NOT NULL,
    use_by   timestamptz NOT NULL
);
CREATE INDEX rate_grants_account ON rate_grants (account, use_by);

CREATE INDEX order_intents_unsent ON order_intents (adds_exposure, created_at) WHERE state = 'NEW';
DROP INDEX order_intents_new;
