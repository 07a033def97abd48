"""Which accounts there are: paper unless a broker is live, and never both in one row (ORD-14)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from onefill.brokers.accounts import (
    BinanceAccount,
    OpenAlgoAccount,
    QuantityUnit,
    SymbolTerms,
)
from onefill.brokers.meter import Rates
from onefill.brokers.openalgo.units import MCX
from onefill.brokers.registry import Account
from onefill.config.brokers import BrokerSettings, SymbolSettings
from onefill.config.rules import instruments_of
from onefill.config.settings import Settings
from onefill.core.instrument import Rules
from onefill.core.orders.limits import LimitBook, Limits
from onefill.core.orders.rates import RateWindow
from onefill.core.signal import Engine, LoggedSignal

BINANCE_STREAM = "wss://fstream.binance.com/private/ws"


def accounts_of(settings: Settings) -> tuple[Account, ...]:
    """One account for each dialect of the paper venue, or for the live broker of that name."""
    return (_binance(settings), _openalgo(settings))


def live_accounts(settings: Settings) -> tuple[str, ...]:
    """`broker/account` of all that move real money."""
    named = {"binance": settings.brokers.binance, "openalgo": settings.brokers.openalgo}
    return tuple(f"{name}/{broker.account}" for name, broker in named.items() if broker.live)


def limits_of(settings: Settings) -> LimitBook:
    """The hard limits of each account, and of symbols there."""
    return LimitBook(
        by_name={
            given.name: Limits(
                quantity_max=given.quantity_max or None,
                notional_max=given.notional_max or None,
                orders_a_minute=given.orders_a_minute or None,
                daily_loss=given.daily_loss or None,
            )
            for given in settings.limits.values()
        }
    )


def broker_of_signal(rules: Rules) -> Callable[[LoggedSignal], str]:
    """Which broker a signal's orders would go to; empty where there is no such instrument."""

    def broker_of(logged: LoggedSignal) -> str:
        if logged.signal.engine is Engine.DIRECT:
            return rules.direct_broker
        instrument = rules.instruments.get(logged.signal.instrument)
        return instrument.broker if instrument is not None else ""

    return broker_of


def _binance(settings: Settings) -> BinanceAccount:
    given = settings.brokers.binance
    common = {
        "base_url": _base_url(given, settings),
        "account": given.account,
        "live": given.live,
        "source_address": given.source_address,
        "recv_window_ms": given.recv_window_ms,
        "send_within_ms": settings.orders.send_within_ms,
        # The environment's names come in lower case; Binance's symbols have none.
        "symbols": {name.upper(): _terms(terms) for name, terms in given.symbols.items()},
        "stream_url": (given.stream_url or BINANCE_STREAM) if given.live else "",
    }
    if given.live:
        common["api_key"] = given.api_key.get_secret_value()
        common["api_secret"] = given.api_secret.get_secret_value()
    return BinanceAccount(**common)  # type: ignore[arg-type]


def _openalgo(settings: Settings) -> OpenAlgoAccount:
    given = settings.brokers.openalgo
    common = {
        "base_url": _base_url(given, settings),
        "account": given.account,
        "live": given.live,
        "source_address": given.source_address,
        "send_within_ms": settings.orders.send_within_ms,
        "mcx_quantity": QuantityUnit(given.mcx_quantity),
        "units_per_contract": _contract_sizes(settings),
    }
    if given.live:
        common["api_key"] = given.api_key.get_secret_value()
        common["rates"] = Rates(
            orders=_a_second(given.orders_per_s), questions=_a_second(given.questions_per_s)
        )
    return OpenAlgoAccount(**common)  # type: ignore[arg-type]


def _contract_sizes(settings: Settings) -> dict[str, Decimal]:
    """Our units in one MCX contract, by the root of its symbols; of the newest series."""
    traded = instruments_of(settings).values()
    return {
        each.symbol_root: Decimal(max(each.units_per_lot)[1])
        for each in traded
        if each.exchange == MCX
    }


def _a_second(most: int) -> tuple[RateWindow, ...]:
    return (RateWindow(most=most, window_ms=1_000),) if most else ()


def _terms(given: SymbolSettings) -> SymbolTerms:
    return SymbolTerms(leverage=given.leverage or None, margin=given.margin.upper() or None)


def _base_url(given: BrokerSettings, settings: Settings) -> str:
    return given.base_url if given.live else settings.venue_url
