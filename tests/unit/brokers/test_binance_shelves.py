"""Binance's two shelves as one book: numbers are unique only within a symbol."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from onefill.brokers.binance.shelves import Shelves
from onefill.brokers.binance.wire import Wire
from onefill.brokers.http import Reply

PLAIN = {"side": "SELL", "status": "NEW", "origQty": "1", "executedQty": "0"}
ALGO = {"side": "SELL", "algoStatus": "FINISHED", "clientAlgoId": "ofa", "quantity": "1"}


class Answers:
    """A wire that says what it is told to; a list for each path and symbol."""

    def __init__(self, **lists: list[dict[str, Any]]) -> None:
        self._lists = lists

    async def ask(self, path: str, parameters: str = "", method: str = "GET") -> Reply:
        symbol = parameters.partition("symbol=")[2].partition("&")[0]
        rows = self._lists.get(path.rpartition("/")[2], [])
        mine = [row for row in rows if not symbol or row["symbol"] == symbol]
        return Reply(200, {}, msgspec.json.encode(mine))

    def read(self, reply: Reply, decoder: Any) -> Any:
        return decoder.decode(reply.body)


def plain(symbol: str, number: int, name: str = "") -> dict[str, Any]:
    return {**PLAIN, "symbol": symbol, "orderId": number, "clientOrderId": name}


@pytest.mark.req("ORD-9", "ORD-12")
async def test_an_order_of_another_symbol_with_the_same_number_is_another_order() -> None:
    became = {**ALGO, "symbol": "BTCUSDT", "algoId": 5, "actualOrderId": "7"}
    rows = [plain("BTCUSDT", 7), plain("ETHUSDT", 7, "hand")]
    shelves = Shelves(cast(Wire, Answers(allOrders=rows, allAlgoOrders=[became])))
    seen = {
        (r.symbol, r.broker_order_id, r.client_order_id)
        for r in await shelves.history({"BTCUSDT", "ETHUSDT"})
    }
    assert seen == {("BTCUSDT", "algo-5", "ofa"), ("ETHUSDT", "7", "hand")}
    works = Answers(openOrders=rows[1:], allAlgoOrders=[became])
    open_now = await Shelves(cast(Wire, works)).open()
    assert [(r.symbol, r.broker_order_id) for r in open_now] == [("ETHUSDT", "7")]
