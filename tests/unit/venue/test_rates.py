"""The paper venue turns away what is above an account's rates, and says what it counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onefill.venue.app import build
from onefill.venue.dialect import PLACE, QUERY, Dialect, Route
from onefill.venue.faults import FaultKind
from onefill.venue.instruments import BINANCE, OPENALGO
from onefill.venue.options import VenueOptions
from onefill.venue.rates import REAL_RATES, Counted, Rate, Turnstile, read_rates
from onefill.venue.wire import Reply, Request, answer


class Desk:
    """A dialect that knows one account."""

    def __init__(self, name: str) -> None:
        self.routes: dict[tuple[str, str], Route] = {}
        self._name = name

    def facts(self, request: Request) -> dict[str, str]:
        return {"dialect": self._name, "account": "paper"}

    def fault_reply(self, kind: FaultKind) -> Reply:
        raise NotImplementedError(kind)


def pass_through(
    turnstile: Turnstile, dialect: Dialect, kind: str, at_ms: int, path: str = "/fapi/v1/order"
) -> int:
    """The status that a request at that time is answered with; 200 lets it through."""
    request = Request(method="POST", path=path, received_at=at_ms * 1_000)
    refused = turnstile.refusal(request, dialect, Route(kind, lambda _: answer({})))
    return refused.status if refused is not None else 200


@pytest.mark.req("ORD-11", "ORD-13")
def test_windows_slide_and_the_largest_is_kept() -> None:
    turnstile = Turnstile([Rate(BINANCE, Counted.ORDERS, 10, 3)])
    desk = Desk(BINANCE)
    answers = [pass_through(turnstile, desk, PLACE, at) for at in (0, 4_000, 9_000, 9_999, 20_001)]
    assert answers == [200, 200, 200, 429, 200]
    (row,) = turnstile.report()
    assert (row["largest"], row["most"], row["refused"]) == (4, 3, 1)
    assert turnstile.headers(BINANCE, "paper") == ((b"x-mbx-order-count-10s", b"1"),)


@pytest.mark.req("ORD-11", "ORD-13")
def test_who_does_not_wait_is_banned_for_a_time() -> None:
    turnstile = Turnstile([Rate(OPENALGO, Counted.ORDERS, 1, 1)])
    turnstile.set(turnstile.rates, ban_s=2)
    desk = Desk(OPENALGO)
    answers = [pass_through(turnstile, desk, PLACE, at) for at in range(0, 120, 10)]
    assert answers == [200, *[429] * 10, 418]
    assert pass_through(turnstile, desk, QUERY, 2_050) == 418
    assert pass_through(turnstile, desk, QUERY, 4_200) == 200
    assert turnstile.report()[0]["bans"] == 1


@pytest.mark.req("ORD-11", "ORD-13")
def test_at_binance_questions_weigh_and_new_orders_do_not() -> None:
    turnstile = Turnstile([Rate(BINANCE, Counted.WEIGHT, 60, 40)])
    desk = Desk(BINANCE)
    assert pass_through(turnstile, desk, PLACE, 0) == 200
    assert pass_through(turnstile, desk, QUERY, 1, "/fapi/v1/openOrders") == 200
    assert pass_through(turnstile, desk, QUERY, 2) == 429
    assert turnstile.report()[0]["largest"] == 41


@pytest.mark.req("ORD-11")
def test_rates_are_declared_as_binance_lists_them() -> None:
    declared = Turnstile(REAL_RATES).declared(BINANCE)
    names = ("rateLimitType", "interval", "intervalNum", "limit")
    assert [tuple(row[name] for name in names) for row in declared] == [
        ("REQUEST_WEIGHT", "MINUTE", 1, 2_400),
        ("ORDERS", "MINUTE", 1, 1_200),
        ("ORDERS", "SECOND", 10, 300),
    ]


@pytest.mark.req("ORD-13")
@pytest.mark.parametrize(
    "wish",
    [
        None,
        "much",
        [7],
        [{"dialect": "binance", "counted": "orders", "seconds": 1}],
        [{"dialect": "binance", "counted": "orders", "seconds": 1, "most": 0}],
        [{"dialect": "nyse", "counted": "orders", "seconds": 1, "most": 1}],
    ],
)
def test_rates_that_make_no_sense_are_refused(wish: Any) -> None:
    assert isinstance(read_rates(wish), str)


@pytest.mark.req("ORD-13")
def test_an_exchange_may_be_started_with_the_real_rates(tmp_path: Path) -> None:
    assert build(VenueOptions(data=tmp_path, rates=True))._turnstile.rates == REAL_RATES
