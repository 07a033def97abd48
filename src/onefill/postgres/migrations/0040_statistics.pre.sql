-- Adds only: what the statistics job keeps, and names for movements of capital. Locks: the ledger,
-- while its few rows are indexed. Back: drop the table, the column and the indexes; statistics can
-- be computed again from fills.

CREATE TABLE trading_statistics (
    portfolio            text NOT NULL REFERENCES portfolio_state (portfolio),
    instrument           text NOT NULL, -- ALL: the whole portfolio
    computed_at          timestamptz NOT NULL,
    trades               integer NOT NULL,
    open_trades          integer NOT NULL,
    wins                 integer NOT NULL,
    losses               integer NOT NULL,
    win_rate_percent     numeric NOT NULL,
    profit               numeric NOT NULL,
    average_win          numeric NOT NULL,
    average_loss         numeric NOT NULL,
    profit_factor        numeric, -- null: nothing was lost yet
    expectancy_r         numeric, -- null: no trade had a stop
    drawdown_max         numeric NOT NULL,
    drawdown_max_percent numeric NOT NULL,
    exposure_percent     numeric NOT NULL,
    PRIMARY KEY (portfolio, instrument)
);
CREATE INDEX capital_ledger_portfolio ON capital_ledger (portfolio, at);
-- What a sender of movements calls one of them, so that a repeated request books it once.
ALTER TABLE capital_ledger ADD COLUMN reference text;
CREATE UNIQUE INDEX capital_ledger_reference ON capital_ledger (portfolio, reference);
