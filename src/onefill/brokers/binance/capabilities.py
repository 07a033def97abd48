"""What Binance USD-M futures can do, by the class and the lag that are declared."""

from __future__ import annotations

from onefill.brokers.accounts import BinanceAccount
from onefill.brokers.binance import words
from onefill.brokers.outcome import Verdict
from onefill.brokers.paper import Declaration
from onefill.core.intent import OrderType
from onefill.ports.broker import Capabilities, OrderClass

_RETENTION_S = 90 * 24 * 3_600


def capabilities_of(declared: Declaration, account: BinanceAccount) -> Capabilities:
    """The declaration of one account there."""
    order_class = declared.order_class
    return Capabilities(
        order_class=order_class,
        visibility_lag_ms=declared.lag_ms,
        request_expiry_ms=account.recv_window_ms if order_class is OrderClass.B else None,
        retention_s=_RETENTION_S if order_class is OrderClass.A else None,
        finds_by_client_id=order_class is not OrderClass.C,
        reports_fills_on_placing=True,
        states_fills=True,
        native_reduce_only=True,
        modifications_max=None,
        definite_refusals=frozenset(
            str(rule.code)
            for rule in words.DEFINITE
            if rule.code is not None and rule.verdict is not Verdict.EXISTS
        ),
        conditional=frozenset(kind for kind in OrderType if kind.is_conditional),
        changes_conditional=False,
        streams=True,
        native_close_position=True,
    )
