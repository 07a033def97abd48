-- Adds only: how often a half-built position was repaired, and which signal opened a position.
-- Locks: none of note. Back: drop the columns and the index; older programs don't look at them.

ALTER TABLE portfolio_positions ADD COLUMN repairs integer NOT NULL DEFAULT 0;
ALTER TABLE portfolio_positions ADD COLUMN entry_signal_id bigint;
CREATE INDEX portfolio_positions_repairs_due
    ON portfolio_positions (coalesce(next_exit_at, '-infinity')) WHERE status = 'partial';
