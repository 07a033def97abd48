"""Rows as the trade path would write them."""

from __future__ import annotations

from typing import Any

TRADE = """
INSERT INTO portfolio_state (portfolio, initial_capital, realised_pnl, equity_high,
                             total_risk_amount, margin_used)
VALUES ('main', 4998999.50, 1000.50, 5000000, 16000, 210000);
INSERT INTO lanes (lane, portfolio, instrument) VALUES ('main/GOLD_MINI', 'main', 'GOLD_MINI');
INSERT INTO signal_log (fingerprint, lane, engine, kind, portfolio, instrument, signal_time,
                        signal_second, received_at, received_by, payload, processing_status,
                        decided_at, ended_at, processed_by_instance)
VALUES (sha256('a'), 'main/GOLD_MINI', 'portfolio', 'BASE_ENTRY', 'main', 'GOLD_MINI',
        '2026-01-05 09:15:00+00', '2026-01-05 09:15:00+00', '2026-01-05 09:15:00.12+00', 'dev',
        '{"type": "BASE_ENTRY", "price": 78500.10, "lots": 9}', 'executed',
        '2026-01-05 09:15:00.13+00', '2026-01-05 09:15:00.2+00', 'prod');
INSERT INTO signal_events VALUES
    (1, '2026-01-05 09:15:00.13+00', 'decided', NULL,
     '{"risk_lots": "3.04", "volatility_lots": "2.22", "limiter": "volatility"}', 'prod', 7),
    (1, '2026-01-05 09:15:00.2+00', 'executed', NULL, NULL, 'prod', 7);
INSERT INTO portfolio_positions
    (position_id, portfolio, instrument, lane, slot, status, is_base_position, opened_at, lots,
     units_per_lot, point_value, margin_per_lot, signal_price, entry_price, stop, last_price,
     limiter, risk_amount, vol_amount)
VALUES ('p1', 'main', 'GOLD_MINI', 'main/GOLD_MINI', 'Long_1', 'open', true,
        '2026-01-05 09:15:00.13+00', 2, 100, 10, 105000, 78500, 78502.5, 77800, 78600,
        'volatility', 16000, 9000);
INSERT INTO position_legs (position_id, leg, broker, account, symbol, exchange, side, quantity,
                           multiplier, bought_quantity, bought_value)
VALUES ('p1', 'fut', 'openalgo', 'paper', 'GOLDM05FEB26FUT', 'MCX', 'BUY', 200, 0.1, 200, 15700500);
INSERT INTO order_intents
    (client_order_id, lane, portfolio, instrument, signal_id, position_id, source, leg, action, n,
     verb, broker, account, venue, symbol, exchange, side, quantity, order_type, reduce_only,
     adds_exposure, state, attempt, filled_quantity, filled_value, broker_order_id, created_at)
VALUES ('of1', 'main/GOLD_MINI', 'main', 'GOLD_MINI', 1, 'p1', 'aa', 'fut', 'open', 1, 'place',
        'openalgo', 'paper', 'paper', 'GOLDM05FEB26FUT', 'MCX', 'BUY', 200, 'MARKET', false, true,
        'FILLED', 2, 200, 15700500, 'b17', '2026-01-05 09:15:00.13+00');
INSERT INTO order_attempts
    (client_order_id, attempt, instance, boot, epoch, claimed_at, signed_at, send_by, request_hash,
     outcome)
SELECT 'of1', n, 'prod', '0b9d2f4e-5d0c-4c37-9a53-3a0f5a0d9e11', 7, now(), now(), now(),
       sha256('r'), CASE n WHEN 1 THEN 'not_sent' ELSE 'placed' END
FROM generate_series(1, 2) n;
INSERT INTO fills (client_order_id, cumulative_quantity, position_id, broker, account, symbol, side,
                   quantity, value, price, trade_ids)
VALUES ('of1', 50, 'p1', 'openalgo', 'paper', 'GOLDM05FEB26FUT', 'BUY', 50, 3925000, 78500,
        '["t1"]'),
       ('of1', 200, 'p1', 'openalgo', 'paper', 'GOLDM05FEB26FUT', 'BUY', 150, 11775500,
        78503.3333, '["t2", "t3"]');
"""
"""One base entry in Gold Mini: not sent at first, then filled in two parts."""

_SIGNALS = """
INSERT INTO signal_log (fingerprint, lane, engine, kind, portfolio, instrument, signal_time,
                        signal_second, received_at, received_by, payload, processing_status)
SELECT sha256(convert_to($1 || n, 'utf8')), 'main/' || $1, 'direct', 'BUY', 'main', $1, at, at,
       at, 'prod', '{}', $2
FROM generate_series(1, $3::int) n, LATERAL (
    SELECT '2026-01-05 09:00:00+00'::timestamptz + make_interval(secs => n) AS at) times
"""
_ORDERS = """
INSERT INTO order_intents
    (client_order_id, lane, portfolio, instrument, source, leg, action, n, verb, broker, account,
     venue, symbol, exchange, side, quantity, order_type, reduce_only, adds_exposure, state,
     send_by, created_at)
SELECT $1 || n, 'main/' || $1, 'main', $1, $1 || n, 'fut', 'open', 1, 'place', 'binance', 'paper',
       $2, $1, '', 'BUY', 1, 'MARKET', false, true, $3, '2026-01-05 09:00:00+00',
       '2026-01-05 09:00:00+00'::timestamptz + make_interval(secs => n / 3)
FROM generate_series(1, $4::int) n
"""
_POSITIONS = """
INSERT INTO portfolio_positions
    (position_id, portfolio, instrument, lane, slot, status, is_base_position, opened_at, lots,
     units_per_lot, point_value, margin_per_lot)
SELECT $1 || n, 'main', $1, 'main/' || $1, 'Long_1', 'closed', true,
       '2026-01-05 09:00:00+00'::timestamptz + make_interval(secs => n / 3), 1, 1, 1, 0
FROM generate_series(1, $2::int) n
"""


async def add_signals(pool: Any, instrument: str, count: int, status: str = "executed") -> None:
    """Signals, one a second from 09:00:01 on."""
    await pool.execute(_SIGNALS, instrument, status, count)


async def add_orders(
    pool: Any, symbol: str, count: int, state: str = "FILLED", venue: str = "paper"
) -> None:
    """Orders, three of them at each moment."""
    await pool.execute(_ORDERS, symbol, venue, state, count)


async def add_positions(pool: Any, instrument: str, count: int) -> None:
    """Closed positions, three of them at each moment."""
    await pool.execute(_POSITIONS, instrument, count)
