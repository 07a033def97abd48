-- Adds only: an older program does not know SAFE, and goes on as before.
-- Locks: none of note. Back: drop the table.

-- Each time that this database was found to have lost commits. While one is open, every instance
-- is SAFE: nothing is sent for the first time.
CREATE TABLE authority_losses (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    noticed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    noticed_by     text NOT NULL,
    kind           text NOT NULL,
    found          text NOT NULL,
    -- Until then a request that was sent in the lost history may still be taken by its broker.
    doubtful_until timestamptz NOT NULL,
    ended_at       timestamptz,
    ended_by       text,
    note           text
);
CREATE INDEX authority_losses_open ON authority_losses (noticed_at) WHERE ended_at IS NULL;
