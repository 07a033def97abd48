"""Registered addresses and sessions at the paper venue."""

from __future__ import annotations

import pytest

from onefill.venue.access import Doorkeeper
from onefill.venue.dialect import MARKET, PLACE, Route
from onefill.venue.instruments import BINANCE, OPENALGO
from onefill.venue.wire import Request, answer

ORDER = Route(PLACE, lambda _: answer({}))
PRICE = Route(MARKET, lambda _: answer({}))


def knock(door: Doorkeeper, dialect: str, caller: str, route: Route = ORDER) -> int:
    refused = door.refusal(Request(method="POST", path="/", caller=caller), dialect, route)
    return refused.status if refused is not None else 200


@pytest.mark.req("ORD-16", "ORD-13")
def test_only_registered_addresses_order_and_everybody_sees_prices() -> None:
    door = Doorkeeper()
    assert door.is_open
    assert door.set({"dialect": BINANCE, "addresses": ["127.0.0.2"]}) is None
    assert not door.is_open
    assert knock(door, BINANCE, "127.0.0.2") == 200
    assert knock(door, BINANCE, "127.0.0.3") == 401
    assert knock(door, BINANCE, "127.0.0.3", PRICE) == 200
    assert knock(door, OPENALGO, "127.0.0.3") == 200


@pytest.mark.req("ORD-16", "ORD-13")
def test_without_the_session_of_the_day_nothing_goes() -> None:
    door = Doorkeeper()
    assert door.set({"dialect": OPENALGO, "session": False}) is None
    assert knock(door, OPENALGO, "127.0.0.1") == 403
    assert door.set({"dialect": OPENALGO}) is None
    assert knock(door, OPENALGO, "127.0.0.1") == 200
    assert door.is_open


@pytest.mark.req("ORD-13")
@pytest.mark.parametrize("wish", [{}, {"dialect": "nyse"}, {"dialect": BINANCE, "addresses": 7}])
def test_what_makes_no_sense_is_refused(wish: dict[str, object]) -> None:
    assert Doorkeeper().set(wish) is not None
