"""The shapes of Binance's USD-M answers and errors, as its public API documents them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from onefill.core.money import ZERO, plain
from onefill.venue.book import Position
from onefill.venue.faults import FaultKind
from onefill.venue.instruments import BINANCE_SYMBOLS, Instrument
from onefill.venue.orders import Execution, Kind, Order, PositionSide, Refusal, Side, Terms
from onefill.venue.wire import Reply, answer

FUNDS = Decimal(1_000_000_000)
"""What the account starts with: enough that nothing is ever refused for it."""

TIMES_UP, TIMES_DOWN = Decimal(3), Decimal("0.3")
"""Of the mark price: what a limit order may buy at, at the most, and sell at, at the least."""
LEVERAGE = 20
"""What every position is held with."""
MAINTENANCE = Decimal("0.004")
"""The margin that a position must keep, as a fraction of its notional."""

_STEP = Decimal("0.00000001")

MESSAGES = {
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -1111: "Precision is over the maximum defined for this asset.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1121: "Invalid symbol.",
    -1125: "This listenKey does not exist.",
    -1128: "Combination of optional parameters invalid.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2019: "Margin is insufficient.",
    -2021: "Order would immediately trigger.",
    -2022: "ReduceOnly Order is rejected.",
    -4003: "Quantity less than or equal to zero.",
    -4005: "Quantity greater than max quantity.",
    -4006: "Price less than or equal to zero.",
    -4016: "Limit price can't be higher than the band around the mark price.",
    -4024: "Limit price can't be lower than the band around the mark price.",
    -4014: "Price not increased by tick size.",
    -4015: "Client order id is not valid.",
    -4028: "Leverage is not valid.",
    -4046: "No need to change margin type.",
    -4047: "Margin type cannot be changed if there exists open orders.",
    -4048: "Margin type cannot be changed if there exists position.",
    -4059: "No need to change position side.",
    -4067: "Position side cannot be changed if there exists open orders.",
    -4068: "Position side cannot be changed if there exists position.",
    -4061: "Order's position side does not match user's setting.",
    -4116: "ClientOrderId is duplicated.",
    -4120: "Order type not supported for this endpoint. Please use the Algo Order API endpoints.",
    -4130: "An open stop or take profit order with GTE and closePosition in the direction is "
    "existing.",
    -4136: "Target strategy invalid for orderType, closePosition or reduceOnly.",
    -4164: "Order's notional must be no smaller than the minimum (unless you choose reduce only).",
    -5027: "No need to modify the order.",
}

REFUSALS = {
    Refusal.DUPLICATE_ID: -4116,
    Refusal.NOTHING_TO_REDUCE: -2022,
    Refusal.NOT_OPEN: -2011,
    Refusal.UNCHANGED: -5027,
    Refusal.WOULD_TRIGGER: -2021,
    Refusal.CLOSED_BY_ANOTHER: -4130,
}

_FAULTS = {
    FaultKind.REJECT: (400, -2019, MESSAGES[-2019]),
    FaultKind.ERROR_BEFORE: (503, -1001, "Service Unavailable."),
    FaultKind.ERROR_AFTER: (
        503,
        -1000,
        "Unknown error, please check your request or try again later.",
    ),
    FaultKind.LYING_400: (400, -1000, "An unknown error occurred while processing the request."),
    FaultKind.LATE: (
        408,
        -1007,
        "Timeout waiting for response from backend server. "
        "Send status unknown; execution status unknown.",
    ),
}


def error(code: int, message: str | None = None) -> Reply:
    """A refusal in Binance's form."""
    return answer({"code": code, "msg": message or MESSAGES[code]}, 400)


def missing(name: str) -> Reply:
    """The refusal of a request that lacks a parameter, or whose parameter is none."""
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return error(-1102, text)


def fault_reply(kind: FaultKind) -> Reply:
    """What Binance says when it fails in this way."""
    status, code, message = _FAULTS[kind]
    return answer({"code": code, "msg": message}, status)


def order_row(order: Order, shows_client_id: bool) -> dict[str, object]:
    """An order as queries show it."""
    return {
        **_acknowledged(order, shows_client_id),
        "status": str(order.status),
        "executedQty": plain(order.filled_quantity),
        "cumQty": plain(order.filled_quantity),
        "cumQuote": plain(order.turnover),
        "avgPrice": plain(order.average_price),
        "time": order.received_at // 1_000,
        "updateTime": order.updated_at // 1_000,
    }


def acknowledgement(order: Order, shows_client_id: bool) -> dict[str, object]:
    """An order as the ACK of placing it shows it: without what became of it."""
    return {
        **_acknowledged(order, shows_client_id),
        "status": "NEW",
        "executedQty": "0",
        "cumQty": "0",
        "cumQuote": "0",
        "avgPrice": "0.00",
        "updateTime": order.updated_at // 1_000,
    }


def _acknowledged(order: Order, shows_client_id: bool) -> dict[str, object]:
    has_id = shows_client_id and order.client_order_id
    return {
        "orderId": order.broker_order_id,
        "symbol": order.symbol,
        "clientOrderId": order.client_order_id if has_id else f"venue_{order.broker_order_id}",
        "price": plain(order.price if order.kind is Kind.LIMIT else ZERO),
        "origQty": plain(order.quantity),
        "timeInForce": str(order.patience),
        "type": str(order.kind),
        "origType": str(order.kind),
        "side": str(order.side),
        "positionSide": str(order.position_side),
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": 0,
    }


def trade_rows(trades: Iterable[Execution]) -> list[dict[str, object]]:
    """Executions as userTrades shows them."""
    return [_trade_row(trade) for trade in trades for _ in range(2 if trade.reported_twice else 1)]


def _trade_row(trade: Execution) -> dict[str, object]:
    return {
        "id": trade.execution_id,
        "orderId": trade.broker_order_id,
        "symbol": trade.symbol,
        "side": str(trade.side),
        "positionSide": str(trade.position_side),
        "price": plain(trade.price),
        "qty": plain(trade.quantity),
        "quoteQty": plain(trade.price * trade.quantity),
        "realizedPnl": "0",
        "commission": "0",
        "commissionAsset": "USDT",
        "buyer": trade.side is Side.BUY,
        "maker": False,
        "time": trade.at // 1_000,
    }


def position_row(
    terms: Terms, side: PositionSide, position: Position, mark: Decimal, *, now_ms: int
) -> dict[str, object]:
    """A position as positionRisk shows it."""
    notional = mark * position.quantity
    entry_price = plain(position.entry_price.quantize(_STEP))
    margin = plain(margin_of(notional))
    nothing = dict.fromkeys(
        (
            *("isolatedMargin", "isolatedWallet", "openOrderInitialMargin"),
            *("bidNotional", "askNotional", "liquidationPrice"),
        ),
        "0",
    )
    return {
        "symbol": terms.symbol,
        "positionSide": str(side),
        "positionAmt": plain(position.quantity),
        "entryPrice": entry_price,
        "breakEvenPrice": entry_price,
        "markPrice": plain(mark),
        "unRealizedProfit": plain(position.gain_at(mark).quantize(_STEP)),
        **nothing,
        "leverage": str(terms.leverage),
        "marginType": "isolated" if terms.isolated else "cross",
        "marginAsset": "USDT",
        "isAutoAddMargin": "false",
        "maxNotionalValue": plain(FUNDS),
        "notional": plain(notional),
        "initialMargin": margin,
        "positionInitialMargin": margin,
        "maintMargin": plain((abs(notional) * MAINTENANCE).quantize(_STEP)),
        "adl": 0,
        "updateTime": now_ms,
    }


def margin_of(notional: Decimal) -> Decimal:
    """What a position of this notional binds of the account's funds."""
    return (abs(notional) / LEVERAGE).quantize(_STEP)


def balance_row(
    funds: Decimal, realised: Decimal, unrealised: Decimal, margin: Decimal, now_ms: int
) -> dict[str, object]:
    """The account's only asset as the balance endpoints show it. margin: what positions bind."""
    wallet, gain = plain(funds + realised), plain(unrealised)
    free = plain(max(ZERO, funds + realised + unrealised - margin))
    return {
        "accountAlias": "paper",
        "asset": "USDT",
        "balance": wallet,
        "walletBalance": wallet,
        "crossWalletBalance": wallet,
        "crossUnPnl": gain,
        "unrealizedProfit": gain,
        "marginBalance": plain(funds + realised + unrealised),
        "initialMargin": plain(margin),
        "positionInitialMargin": plain(margin),
        "openOrderInitialMargin": "0",
        "maintMargin": plain((margin * LEVERAGE * MAINTENANCE).quantize(_STEP)),
        "availableBalance": free,
        "maxWithdrawAmount": free,
        "marginAvailable": True,
        "updateTime": now_ms,
    }


def account_row(balance: Mapping[str, object], positions: list[dict[str, object]]) -> object:
    """Funds and positions together, as the account endpoints show them."""
    totals = {
        "totalInitialMargin": "initialMargin",
        "totalMaintMargin": "maintMargin",
        "totalWalletBalance": "walletBalance",
        "totalUnrealizedProfit": "unrealizedProfit",
        "totalMarginBalance": "marginBalance",
        "totalPositionInitialMargin": "positionInitialMargin",
        "totalOpenOrderInitialMargin": "openOrderInitialMargin",
        "totalCrossWalletBalance": "crossWalletBalance",
        "totalCrossUnPnl": "crossUnPnl",
        "availableBalance": "availableBalance",
        "maxWithdrawAmount": "maxWithdrawAmount",
    }
    # positionRisk and account write the same gain differently.
    held = [row | {"unrealizedProfit": row["unRealizedProfit"]} for row in positions]
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": False,
        "canWithdraw": False,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        "updateTime": 0,
        **{total: balance[each] for total, each in totals.items()},
        "assets": [balance],
        "positions": held,
    }


def exchange_information(now_ms: int, rates: list[dict[str, object]]) -> dict[str, object]:
    """All listed symbols with their filters, and the rates of each account."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": rates,
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True}],
        "symbols": [_symbol_row(instrument) for instrument in BINANCE_SYMBOLS.values()],
    }


def _symbol_row(instrument: Instrument) -> dict[str, object]:
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": "PERPETUAL",
        "status": "TRADING",
        "baseAsset": instrument.symbol.removesuffix("USDT"),
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": _places(instrument.tick),
        "quantityPrecision": _places(instrument.steps[0]),
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK"],
        "filters": _filters(instrument),
    }


def _filters(instrument: Instrument) -> list[dict[str, object]]:
    tick, step = plain(instrument.tick), plain(instrument.steps[0])
    size = {"minQty": step, "maxQty": plain(instrument.most), "stepSize": step}
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": tick,
            "maxPrice": "1000000000",
            "tickSize": tick,
        },
        {"filterType": "LOT_SIZE", **size},
        {"filterType": "MARKET_LOT_SIZE", **size},
        {"filterType": "MIN_NOTIONAL", "notional": plain(instrument.minimum_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": plain(TIMES_UP),
            "multiplierDown": plain(TIMES_DOWN),
            "multiplierDecimal": 4,
        },
    ]


def _places(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
