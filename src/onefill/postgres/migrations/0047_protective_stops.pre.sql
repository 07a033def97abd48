-- Adds only: the stop orders that wait at the broker for a position, and when to look after them.
-- Locks: none of note. Back: drop the columns; older programs don't look at them.

ALTER TABLE portfolio_positions
    ADD COLUMN guards integer NOT NULL DEFAULT 0,
    ADD COLUMN guard_at timestamptz;
CREATE INDEX portfolio_positions_guards_due ON portfolio_positions (guard_at)
    WHERE guard_at IS NOT NULL AND status <> 'closed';
