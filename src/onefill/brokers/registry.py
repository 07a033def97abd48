"""Which adapters there are, and the brokers that a configuration names."""

from __future__ import annotations

from collections.abc import Iterable

from onefill.brokers.accounts import BinanceAccount, OpenAlgoAccount
from onefill.brokers.binance import BinanceBroker
from onefill.brokers.likeness import KnownOrders, nothing_known
from onefill.brokers.openalgo.adapter import OpenAlgoBroker
from onefill.core.errors import ConfigurationError
from onefill.ports.broker import Broker
from onefill.ports.clock import Clock
from onefill.ports.rates import RateStore

Account = BinanceAccount | OpenAlgoAccount
BrokerKey = tuple[str, str]
"""A broker's name and the account there, as `OrderRequest.broker` and `.account` name them."""


def paper_accounts(venue_url: str) -> tuple[Account, ...]:
    """One paper account in each dialect of the paper venue: what runs unless told otherwise."""
    return (BinanceAccount(base_url=venue_url), OpenAlgoAccount(base_url=venue_url))


def build_brokers(
    accounts: Iterable[Account],
    clock: Clock,
    known: KnownOrders = nothing_known,
    rates: RateStore | None = None,
) -> dict[BrokerKey, Broker]:
    """An adapter for each account, not started yet.

    known: the store's answer to which broker order ids are whose (`TradingStore.known_orders`).
    rates: where what accounts may ask and order is counted for all instances.
    Raises ConfigurationError when two accounts have one name at one broker.
    """
    brokers: dict[BrokerKey, Broker] = {}
    for account in accounts:
        broker = _adapter(account, clock, known, rates)
        key = (broker.name, broker.account)
        if key in brokers:
            raise ConfigurationError(
                "two accounts have the same name", broker=broker.name, account=broker.account
            )
        brokers[key] = broker
    return brokers


def _adapter(account: Account, clock: Clock, known: KnownOrders, rates: RateStore | None) -> Broker:
    match account:
        case BinanceAccount():
            return BinanceBroker(account, clock, known, rates)
        case OpenAlgoAccount():
            return OpenAlgoBroker(account, clock, known, rates)
