"""A comparison that could not look at everything blames nobody for what it did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest

from onefill.core.intent import IntentState, OrderIntent
from onefill.core.orders.report import Found, OrderReport, OrderStatus
from onefill.flow.reconciler import WORKING_MAX, Reconciler
from onefill.ports.recovery import Holdings
from unit.flow.test_resolver import in_doubt


class Store:
    """Orders that work, at two brokers in turn, and a book that holds nothing."""

    def __init__(self, count: int) -> None:
        self._orders = [order(n) for n in range(count)]

    async def working(self, limit: int) -> Sequence[OrderIntent]:
        return self._orders[:limit]

    async def holdings(self, broker: str, account: str) -> Holdings:
        return Holdings(net={}, unsettled=frozenset())

    async def known(self, *_: object) -> Sequence[object]:
        return ()

    async def accepted(self, broker: str, account: str) -> frozenset[str]:
        return frozenset()

    async def save_reconciliation(self, *_: object) -> None:
        """Nobody reads it."""


class Broker:
    """It holds what nobody here knows of."""

    name, account = "sim", "paper"

    def __init__(self, *held: int) -> None:
        self._held = list(held)

    async def positions(self) -> dict[str, Decimal]:
        """What it holds at each look; the last one stays."""
        held = self._held.pop(0) if len(self._held) > 1 else self._held[0]
        return {"ETHUSDT": Decimal(held)} if held else {}

    async def open_orders(self) -> Sequence[OrderReport]:
        return ()

    async def history(self, symbols: object) -> Sequence[OrderReport]:
        return ()

    async def look_up(self, intent: OrderIntent, rivals: object) -> Found:
        return Found(report=OrderReport(broker_order_id="", status=OrderStatus.OPEN))


def order(n: int) -> OrderIntent:
    one = in_doubt(f"o{n}")
    place = replace(one.order, broker="sim" if n % 2 else "other", symbol="BTCUSDT")
    return replace(one, state=IntentState.ACKED, order=place)


def reconciler(store: Store, broker: Broker) -> Reconciler:
    one = cast("Any", store)
    return Reconciler(
        trading=one,
        recovery=one,
        brokers=[cast("Any", broker)],
        deployment="tst",
        tell=lambda _: None,
        books_evidence=True,
        adjust=cast("Any", None),
        adjusts=True,
    )


@pytest.mark.req("ORD-9")
@pytest.mark.parametrize(("count", "is_blamed"), [(WORKING_MAX - 1, True), (WORKING_MAX, False)])
async def test_a_difference_that_an_order_not_looked_at_may_explain_is_no_difference_yet(
    count: int, is_blamed: bool
) -> None:
    result = await reconciler(Store(count), Broker(5)).run_once(None, "test")
    assert ["ETHUSDT" in finding.symbol for finding in result.findings] == [True] * is_blamed


@pytest.mark.req("ORD-9")
@pytest.mark.parametrize(
    ("held", "is_blamed"),
    [((5, 0), False), ((5, 3), False), ((5, 5), True), ((0, 5), False)],
    ids=["traded back", "still trading", "stays", "came after"],
)
async def test_a_quantity_is_a_difference_only_when_two_comparisons_find_it(
    held: tuple[int, ...], is_blamed: bool
) -> None:
    """As where what we hold went there and back while this process was paused in between."""
    result = await reconciler(Store(0), Broker(*held)).run_once(None, "test")
    assert [finding.theirs for finding in result.findings] == ["5"] * is_blamed
