"""OpenAlgo's own client, unchanged, at a venue. Prints what it was told, step by step, as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from openalgo import api

OPTION = {"symbol": "BANKNIFTY29JAN3060000CE", "exchange": "NFO"}
LEG = {**OPTION, "strategy": "mine", "product": "NRML", "action": "BUY"}


def main(url: str) -> None:
    """Trade as a customer would, and tell. The client never raises, so all of it is an answer."""
    client = api(api_key="openalgo", host=url, timeout=60.0)
    print(json.dumps(orders(client) | account(client) | refusals(client)))


def orders(client: Any) -> dict[str, Any]:
    """A market order, and a limit order that is changed and cancelled."""
    bought = client.placeorder(**LEG, price_type="MARKET", quantity=30)
    resting = client.placeorder(**LEG, price_type="LIMIT", quantity=30, price=1)
    number = resting["orderid"]
    changed = {"order_id": number, "price_type": "LIMIT", "quantity": 60, "price": 2}
    return {
        "bought": bought,
        "asked": client.orderstatus(order_id=bought["orderid"], strategy="mine"),
        "resting": resting,
        "modified": client.modifyorder(**LEG, **changed),
        "order book": client.orderbook(),
        "cancelled": client.cancelorder(order_id=number, strategy="mine"),
        "asked again": client.orderstatus(order_id=number, strategy="mine"),
    }


def account(client: Any) -> dict[str, Any]:
    """Books, funds and prices."""
    return {
        "trade book": client.tradebook(),
        "position book": client.positionbook(),
        "funds": client.funds(),
        "quotes": client.quotes(**OPTION),
    }


def refusals(client: Any) -> dict[str, Any]:
    """What is wrong, in the client's words."""
    return {
        "no lot": client.placeorder(**LEG, price_type="MARKET", quantity=31),
        "unknown order": client.orderstatus(order_id="9", strategy="mine"),
        "no key": api(api_key="", host=client.base_url.partition("/api/")[0]).funds(),
    }


if __name__ == "__main__":
    main(sys.argv[1])
