-- Adds only: the contracts that brokers list of each instrument, asked for once a day. Locks: none
-- of note. Back: drop the table; expiries and lot sizes then follow the rules of the configuration.

CREATE TABLE listed_contracts (
    instrument text PRIMARY KEY,
    broker     text NOT NULL,
    asked_at   timestamptz NOT NULL,
    series     text NOT NULL -- [["2026-01-27", 30], …]: the end, and units in a lot or null
);
