"""What an OpenAlgo server, and the broker behind it, can do."""

from __future__ import annotations

from onefill.brokers.meter import Rates
from onefill.brokers.openalgo import words
from onefill.core.intent import OrderType
from onefill.ports.broker import Capabilities, OrderClass


def capabilities_of(lag_ms: int, rates: Rates) -> Capabilities:
    """By the lag that is declared, and the rates."""
    return Capabilities(
        order_class=OrderClass.C,
        visibility_lag_ms=lag_ms,
        request_expiry_ms=None,
        retention_s=None,
        finds_by_client_id=False,
        reports_fills_on_placing=False,
        states_fills=True,
        native_reduce_only=False,
        modifications_max=25,
        conditional=frozenset({OrderType.STOP_MARKET}),
        changes_conditional=True,
        definite_refusals=frozenset(f"HTTP {rule.status} {rule.says}" for rule in words.DEFINITE),
        order_rates=rates.orders,
    )
