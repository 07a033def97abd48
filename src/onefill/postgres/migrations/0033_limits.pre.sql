-- Adds only: indexes for what the hard limits count. Locks: writes to each table wait while its
-- index is built (a second for each million rows). Back: drop the indexes.

CREATE INDEX order_attempts_claimed ON order_attempts (claimed_at);
CREATE INDEX portfolio_positions_closed ON portfolio_positions (closed_at)
    WHERE status = 'closed';
