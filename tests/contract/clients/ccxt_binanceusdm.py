"""CCXT's binanceusdm, unchanged, at a venue. Prints what it was told, step by step, as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import ccxt

SYMBOL = "BTC/USDT:USDT"


def main(url: str) -> None:
    """Trade as a customer would, and tell."""
    exchange = exchange_at(url)
    told = {"listed": sorted(exchange.load_markets()), "time": exchange.fetch_time()}
    told |= orders(exchange) | account(exchange) | prices(exchange) | refusals(exchange)
    print(json.dumps(told, default=str))


def exchange_at(url: str) -> Any:
    """All addresses lead to the venue. Currencies are of the spot market, which it has not."""
    keys = {"apiKey": "ccxt", "secret": "ccxt", "enableRateLimit": False}
    exchange = ccxt.binanceusdm({**keys, "options": {"fetchCurrencies": False}})
    addresses = exchange.urls["api"].items()
    exchange.urls["api"] = {
        name: f"{url}/{address.partition('//')[2].partition('/')[2]}" for name, address in addresses
    }
    return exchange


def orders(exchange: Any) -> dict[str, Any]:
    """A market order, and a limit order that is changed and cancelled."""
    told: dict[str, Any] = {}
    named = {"newClientOrderId": "ccxt-1"}
    told["bought"] = exchange.create_order(SYMBOL, "market", "buy", 0.01, None, named)
    told["asked"] = exchange.fetch_order(told["bought"]["id"], SYMBOL)
    told["asked by our id"] = exchange.fetch_order(None, SYMBOL, {"origClientOrderId": "ccxt-1"})
    told["resting"] = exchange.create_order(SYMBOL, "limit", "buy", 0.01, 30_000)
    number = told["resting"]["id"]
    told["open"] = exchange.fetch_open_orders(SYMBOL)
    told["open one"] = exchange.fetch_open_order(number, SYMBOL)
    told["modified"] = exchange.edit_order(number, SYMBOL, "limit", "buy", 0.02, 31_000)
    told["cancelled"] = exchange.cancel_order(number, SYMBOL)
    told["all"] = exchange.fetch_orders(SYMBOL)
    told["trades"] = exchange.fetch_my_trades(SYMBOL)
    return told


def account(exchange: Any) -> dict[str, Any]:
    """Funds, positions and what they may be."""
    return {
        "balance": exchange.fetch_balance()["USDT"],
        "positions": exchange.fetch_positions([SYMBOL]),
        "risk": exchange.fetch_positions_risk([SYMBOL]),
        "mode": exchange.fetch_position_mode(SYMBOL),
        "brackets": exchange.fetch_leverage_tiers([SYMBOL]),
        "fees": exchange.fetch_trading_fee(SYMBOL),
    }


def prices(exchange: Any) -> dict[str, Any]:
    """The market, in every way to ask for it."""
    return {
        "day": exchange.fetch_ticker(SYMBOL),
        "offers": exchange.fetch_bids_asks([SYMBOL]),
        "price": exchange.fetch_last_prices([SYMBOL]),
        "mark": exchange.fetch_mark_price(SYMBOL),
        "depth": exchange.fetch_order_book(SYMBOL),
    }


def refusals(exchange: Any) -> dict[str, Any]:
    """What is wrong, in CCXT's words."""
    sell = (SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True})
    return {
        "unknown order": refusal(exchange.fetch_order, "9", SYMBOL),
        "unknown cancel": refusal(exchange.cancel_order, "9", SYMBOL),
        "sold": exchange.create_order(*sell),
        "nothing to reduce": refusal(exchange.create_order, *sell),
    }


def refusal(call: Callable[..., Any], *arguments: Any) -> list[str]:
    """CCXT's exception."""
    try:
        answer = call(*arguments)
    except ccxt.BaseError as error:
        return [type(error).__name__, str(error)]
    raise SystemExit(f"it was not refused: {answer}")


if __name__ == "__main__":
    main(sys.argv[1])
