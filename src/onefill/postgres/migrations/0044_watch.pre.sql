-- Adds only: what should have been heard and was not, and when it came right. Locks: none of note,
-- the table is new. Back: drop it; it is found again by looking.

CREATE TABLE missed_signals (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('bar', 'sequence', 'position')),
    subject    text NOT NULL, -- the instrument, or the lane
    says       text NOT NULL,
    since      timestamptz NOT NULL,
    raised_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    cleared_at timestamptz,
    instance   text NOT NULL,
    epoch      bigint NOT NULL
);
CREATE UNIQUE INDEX missed_signals_open ON missed_signals (kind, subject) WHERE cleared_at IS NULL;
