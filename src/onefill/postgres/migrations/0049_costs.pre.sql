-- Adds only: what trading costs, by leg, and the price that each order was decided at. Locks: none
-- of note, defaults are constant. Back: drop the columns; realised profit then has costs taken off that
-- nothing explains, where a tariff was set.

ALTER TABLE position_legs
    ADD COLUMN cost_per_order numeric NOT NULL DEFAULT 0,
    ADD COLUMN buy_cost_percent numeric NOT NULL DEFAULT 0,
    ADD COLUMN sell_cost_percent numeric NOT NULL DEFAULT 0,
    ADD COLUMN orders integer NOT NULL DEFAULT 0; -- how many have traded
ALTER TABLE order_intents ADD COLUMN decided_price numeric;
ALTER TABLE trading_statistics ADD COLUMN costs numeric NOT NULL DEFAULT 0;
