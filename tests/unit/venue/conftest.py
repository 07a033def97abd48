"""An engine over a real ledger, without the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onefill.core.money import ZERO
from onefill.venue.clock import VenueClock
from onefill.venue.engine import Engine
from onefill.venue.ledger import Ledger
from onefill.venue.market import Market
from onefill.venue.options import BrokerClass, VenueOptions

OpenEngine = Callable[..., Engine]


@pytest.fixture
def open_engine(tmp_path: Path) -> Iterator[OpenEngine]:
    """Opens an engine on one data directory; opening again closes the one before."""
    ledgers: list[Ledger] = []

    def close() -> None:
        while ledgers:
            ledgers.pop().close()

    def open_one(broker_class: BrokerClass = BrokerClass.B) -> Engine:
        close()
        clock = VenueClock()
        ledgers.append(Ledger(tmp_path))
        market = Market(clock, VenueOptions(data=tmp_path).volatility, ZERO)
        engine = Engine(ledgers[0], market, clock, broker_class)
        engine.restore()
        return engine

    yield open_one
    close()
