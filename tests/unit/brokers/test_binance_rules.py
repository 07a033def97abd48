"""What a symbol's filters allow: an order that breaks one is refused in words, and never sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_support import RawServer, http_reply, intent_for
from onefill.brokers.binance.rules import complaint, listing_decoder, rules_of
from onefill.core.intent import OrderType
from onefill.core.orders.report import NotPlaced
from unit.brokers.test_binance import broker_at

LISTING = b"""{"timezone": "UTC", "symbols": [{"symbol": "BTCUSDT", "status": "TRADING",
"filters": [
 {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": "0.10"},
 {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
 {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
 {"filterType": "MAX_NUM_ORDERS", "limit": 200},
 {"filterType": "MIN_NOTIONAL", "notional": "50"},
 {"filterType": "PERCENT_PRICE", "multiplierUp": "1.05", "multiplierDown": "0.95"}]},
 {"symbol": "OLDUSDT", "status": "SETTLING", "filters": []}]}"""
RULES = rules_of(listing_decoder.decode(LISTING))
LIMIT = {"order_type": OrderType.LIMIT, "price": Decimal(60_000)}


@pytest.mark.req("ORD-12", "ORD-15")
@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"quantity": "0.0015"}, "quantity 0.0015 is no multiple of 0.001"),
        ({"quantity": "0.0001"}, "quantity 0.0001 is below the least, 0.001"),
        ({"quantity": "120.001"}, "above the most, 120"),
        ({"quantity": "120.001", **LIMIT}, None),
        ({"quantity": "1", **LIMIT, "price": "60000.05"}, "price 60000.05 is no multiple of 0.1"),
        ({"quantity": "1", **LIMIT, "price": "1"}, "below the least, 556.8"),
        ({"quantity": "0.001", **LIMIT, "price": "600"}, "notional 0.6 is below the least, 50"),
        ({"quantity": "0.001", **LIMIT, "price": "600", "reduce_only": True}, None),
        ({"quantity": "0.001"}, None),
        ({"quantity": "1", "symbol": "OLDUSDT"}, "does not trade now"),
        ({"quantity": "1", "symbol": "OLDUSDT", "reduce_only": True}, None),
        ({"quantity": "0.7", "symbol": "NEWUSDT"}, None),
    ],
)
def test_each_filter_is_told_in_words(order: dict[str, Any], words: str | None) -> None:
    numbers = {k: Decimal(order[k]) for k in ("quantity", "price") if k in order}
    wish = intent_for("binance", **{"symbol": "BTCUSDT", **order, **numbers}).order
    found = complaint(wish, RULES)
    assert found is None if words is None else words in (found or "")


@given(st.integers(1, 120_000))
def test_every_multiple_of_the_step_is_taken(steps: int) -> None:
    order = intent_for("binance", symbol="BTCUSDT", quantity=Decimal(steps) / 1000).order
    assert complaint(order, RULES) is None


@pytest.mark.req("ORD-5", "ORD-12")
async def test_what_a_filter_refuses_never_reaches_the_socket() -> None:
    server = RawServer(fixed={"/fapi/v1/exchangeInfo": http_reply(200, LISTING)})
    async with broker_at(server) as broker:
        intent = intent_for("binance", symbol="BTCUSDT", quantity=Decimal("0.0015"))
        outcome = await broker.send(await broker.prepare(intent))
    assert isinstance(outcome, NotPlaced)
    assert (outcome.code, outcome.retry) == ("filters", False)
    assert server.posts_to("/fapi/v1/order") == []
