"""From Binance's order parameters to a ticket, through its filters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

from onefill.core.money import ZERO
from onefill.venue.binance.answers import TIMES_DOWN, TIMES_UP, error, missing
from onefill.venue.instruments import BINANCE, BINANCE_SYMBOLS, Instrument
from onefill.venue.market import Market
from onefill.venue.orders import Kind, Patience, PositionSide, Side, Ticket
from onefill.venue.wire import Reply, decimal_of, integer_of

CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_CONDITIONAL = frozenset(
    ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
)

_LIMIT, _LIMIT_MAX = 500, 1_000

Form = Mapping[str, str]
_Row = TypeVar("_Row")


def read_ticket(account: str, form: Form, received_at: int, market: Market) -> Ticket | Reply:
    """The order that a form wishes for, or why there can't be one. Source: Binance's filters."""
    for name in ("symbol", "side", "type"):
        if not form.get(name):
            return missing(name)
    refused = _check_words(form)
    if refused is not None:
        return refused
    instrument = BINANCE_SYMBOLS[form["symbol"]]
    is_limit = form["type"] == "LIMIT"
    quantity, price = decimal_of(form.get("quantity")), decimal_of(form.get("price"))
    if quantity is None:
        return missing("quantity")
    if is_limit and price is None:
        return missing("price")
    ticket = Ticket(
        client_order_id=form.get("newClientOrderId", ""),
        dialect=BINANCE,
        account=account,
        symbol=instrument.symbol,
        side=Side(form["side"]),
        quantity=quantity,
        received_at=received_at,
        kind=Kind(form["type"]),
        price=price if price is not None and is_limit else ZERO,
        patience=Patience(form["timeInForce"]) if is_limit else Patience.GTC,
        reduce_only=form.get("reduceOnly", "").lower() == "true",
        position_side=PositionSide(form.get("positionSide", PositionSide.BOTH)),
    )
    return check_numbers(ticket, instrument, market.quote(instrument)) or ticket


def check_side(form: Form, hedged: bool) -> Reply | None:
    """Whether the position that is named exists in the account's mode.

    In hedge mode a side says what is closed, and reduceOnly is refused.
    """
    sides = (PositionSide.LONG, PositionSide.SHORT) if hedged else (PositionSide.BOTH,)
    if form.get("positionSide", PositionSide.BOTH) not in sides:
        return error(-4061)
    if hedged and form.get("reduceOnly"):
        return error(-1106, "Parameter 'reduceonly' sent when not required.")
    return None


def _check_words(form: Form) -> Reply | None:
    """The first parameter that names something unknown, in Binance's order of checks."""
    client_order_id = form.get("newClientOrderId")
    is_limit = form["type"] == "LIMIT"
    if is_limit and not form.get("timeInForce"):
        return missing("timeInForce")
    checks = (
        (form["symbol"] in BINANCE_SYMBOLS, -1121),
        (form["side"] in list(Side), -1117),
        (form["type"] not in _CONDITIONAL, -4120),
        (form["type"] in ("MARKET", "LIMIT"), -1116),
        (not is_limit or form.get("timeInForce") in list(Patience), -1115),
        (client_order_id is None or CLIENT_ID.fullmatch(client_order_id), -4015),
    )
    return next((error(code) for holds, code in checks if not holds), None)


def check_numbers(ticket: Ticket, instrument: Instrument, market_price: Decimal) -> Reply | None:
    """The first filter of the instrument that the ticket fails.

    market_price: in points; a market order's notional is judged by it.
    """
    is_limit, is_buy = ticket.kind is Kind.LIMIT, ticket.side is Side.BUY
    price = ticket.price if is_limit else market_price
    enough = ticket.reduce_only or price * ticket.quantity >= instrument.minimum_notional
    checks = (
        (ticket.quantity > 0, -4003),
        (ticket.quantity <= instrument.most, -4005),
        (instrument.fits(ticket.quantity), -1111),
        (not is_limit or ticket.price > 0, -4006),
        (not is_limit or ticket.price % instrument.tick == 0, -4014),
        (enough, -4164),
        (not (is_limit and is_buy) or ticket.price <= market_price * TIMES_UP, -4016),
        (not is_limit or is_buy or ticket.price >= market_price * TIMES_DOWN, -4024),
    )
    return next((error(code) for holds, code in checks if not holds), None)


def page(rows: list[_Row], form: Form, first: str) -> list[_Row]:
    """At most `limit` of them: from the start where a first id is given, else the latest."""
    limit = integer_of(form.get("limit", _LIMIT)) or _LIMIT
    limit = max(1, min(limit, _LIMIT_MAX))
    return rows[:limit] if form.get(first) else rows[-limit:]
