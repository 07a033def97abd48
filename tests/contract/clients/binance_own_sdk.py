"""Binance's own SDK, unchanged, at a venue. Prints what it was told, step by step, as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import Error
from binance_sdk_derivatives_trading_usds_futures import DerivativesTradingUsdsFutures

SYMBOL = "ETHUSDT"


def main(url: str) -> None:
    """Trade as a customer would, and tell."""
    settings = ConfigurationRestAPI(api_key="sdk", api_secret="sdk", base_path=url, retries=0)
    api = DerivativesTradingUsdsFutures(config_rest_api=settings).rest_api
    told = {"ping": told_by(api.test_connectivity), "time": told_by(api.check_server_time)}
    told["listed"] = [row["symbol"] for row in told_by(api.exchange_information)["symbols"]]
    told |= orders(api) | account(api) | prices(api) | refusals(api)
    print(json.dumps(told, default=str))


def orders(api: Any) -> dict[str, Any]:
    """A market order, and a limit order that is changed and cancelled."""
    buy = {"symbol": SYMBOL, "side": "BUY", "quantity": 0.02}
    second = {"symbol": SYMBOL, "orig_client_order_id": "sdk-2"}
    return {
        "bought": told_by(
            api.new_order,
            **buy,
            type="MARKET",
            new_client_order_id="sdk-1",
            new_order_resp_type="RESULT",
        ),
        "asked": told_by(api.query_order, symbol=SYMBOL, orig_client_order_id="sdk-1"),
        "resting": told_by(
            api.new_order,
            **buy,
            type="LIMIT",
            time_in_force="GTC",
            price=2000.0,
            new_client_order_id="sdk-2",
        ),
        "taken": refusal(
            api.new_order,
            **buy,
            type="LIMIT",
            time_in_force="GTC",
            price=2000.0,
            new_client_order_id="sdk-2",
        ),
        "open": told_by(api.current_all_open_orders, symbol=SYMBOL),
        "open one": told_by(api.query_current_open_order, **second),
        "modified": told_by(api.modify_order, **second, side="BUY", quantity=0.03, price=2100.0),
        "cancelled": told_by(api.cancel_order, **second),
        "no longer open": refusal(api.query_current_open_order, **second),
        "all": told_by(api.all_orders, symbol=SYMBOL),
        "trades": told_by(api.account_trade_list, symbol=SYMBOL),
        "all cancelled": told_by(api.cancel_all_open_orders, symbol=SYMBOL),
    }


def account(api: Any) -> dict[str, Any]:
    """Funds, positions and what they may be."""
    return {
        "account 2": told_by(api.account_information_v2),
        "account 3": told_by(api.account_information_v3),
        "balance 2": told_by(api.futures_account_balance_v2),
        "balance 3": told_by(api.futures_account_balance_v3),
        "positions 2": told_by(api.position_information_v2, symbol=SYMBOL),
        "positions 3": told_by(api.position_information_v3, symbol=SYMBOL),
        "mode": told_by(api.get_current_position_mode),
        "brackets": told_by(api.notional_and_leverage_brackets, symbol=SYMBOL),
        "fees": told_by(api.user_commission_rate, symbol=SYMBOL),
    }


def prices(api: Any) -> dict[str, Any]:
    """The market, in every way to ask for it."""
    return {
        "mark": told_by(api.mark_price, symbol=SYMBOL),
        "price 1": told_by(api.symbol_price_ticker, symbol=SYMBOL),
        "price 2": told_by(api.symbol_price_ticker_v2, symbol=SYMBOL),
        "offers": told_by(api.symbol_order_book_ticker, symbol=SYMBOL),
        "depth": told_by(api.order_book, symbol=SYMBOL),
        "day": told_by(api.ticker24hr_price_change_statistics, symbol=SYMBOL),
    }


def refusals(api: Any) -> dict[str, Any]:
    """What is wrong, in the SDK's words."""
    sell = {"symbol": SYMBOL, "side": "SELL", "type": "MARKET"}
    return {
        "unknown order": refusal(api.query_order, symbol=SYMBOL, orig_client_order_id="none"),
        "unknown cancel": refusal(api.cancel_order, symbol=SYMBOL, orig_client_order_id="none"),
        "too fine": refusal(api.new_order, **sell, quantity=0.0001),
        "sold": told_by(api.new_order, **sell, quantity=0.02, reduce_only="true"),
        "nothing to reduce": refusal(api.new_order, **sell, quantity=0.02, reduce_only="true"),
    }


def told_by(call: Callable[..., Any], **arguments: Any) -> Any:
    """The SDK's reading of the answer, as JSON has it."""
    return plain(call(**arguments).data())


def plain(value: Any) -> Any:
    """The SDK's models as the dictionaries that they stand for."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if getattr(value, "actual_instance", None) is not None:
        return plain(value.actual_instance)
    return value.to_dict() if hasattr(value, "to_dict") else value


def refusal(call: Callable[..., Any], **arguments: Any) -> list[Any]:
    """The SDK's exception, and the code in it."""
    try:
        answer = call(**arguments)
    except Error as error:
        return [type(error).__name__, getattr(error, "status_code", None), str(error)]
    raise SystemExit(f"it was not refused: {answer.data()}")


if __name__ == "__main__":
    main(sys.argv[1])
