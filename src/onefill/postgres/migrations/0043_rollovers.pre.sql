-- Adds only: how far a position is on its way into the next contract, and where it came from.
-- Locks: none of note. Back: drop the view, the index and the columns, when nothing is rolling.

ALTER TABLE portfolio_positions
    ADD COLUMN rollover_status text NOT NULL DEFAULT 'none'
        CHECK (rollover_status IN ('none', 'pending', 'in_progress', 'rolled', 'failed')),
    ADD COLUMN rollover_count integer NOT NULL DEFAULT 0,
    ADD COLUMN rollover_pnl numeric NOT NULL DEFAULT 0,
    ADD COLUMN rollover_timestamp timestamptz,
    ADD COLUMN rolled_from text,
    ADD COLUMN rolled_price numeric,
    ADD COLUMN carried_points numeric NOT NULL DEFAULT 0,
    ADD COLUMN original_expiry date,
    ADD COLUMN original_strike integer,
    ADD COLUMN original_entry_price numeric;
CREATE INDEX portfolio_positions_to_roll ON portfolio_positions (lane)
    WHERE status = 'open' AND rollover_status = 'pending';
-- A position is opened out of another one once at the most.
CREATE UNIQUE INDEX portfolio_positions_rolled_from ON portfolio_positions (rolled_from);

-- Derived, so that it can't disagree with the positions.
CREATE VIEW rollovers AS
SELECT old.position_id, new.position_id AS new_position_id, old.lane, old.slot,
       old.rollover_status AS status, old.expiry AS from_expiry, new.expiry AS to_expiry,
       old.realised_pnl, new.rolled_price AS left_at, new.entry_price AS entered_at,
       new.entry_price - new.rolled_price AS basis, new.rollover_timestamp AS at
FROM portfolio_positions old
LEFT JOIN portfolio_positions new ON new.rolled_from = old.position_id
WHERE old.rollover_status <> 'none' AND old.rolled_from IS DISTINCT FROM old.position_id
  AND (new.position_id IS NOT NULL OR old.rollover_status <> 'rolled');
