"""`onefill send`: one test signal."""

from __future__ import annotations

import json
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onefill.cli import options
from onefill.cli.errors import Refused, Usage
from onefill.cli.fill_in import Distance, FillIn
from onefill.cli.options import DEFAULT_URL

if TYPE_CHECKING:
    from onefill.cli.delivery import Delivered

DIRECT = ("buy", "sell", "close")
PORTFOLIO = ("BASE_ENTRY", "PYRAMID", "EXIT", "MARKET_DATA")
What = Annotated[
    str,
    typer.Argument(
        help="base_entry, pyramid, exit, market_data; buy, sell, close; a JSON file; or - for "
        "standard input."
    ),
]
Instrument = Annotated[str, typer.Option("--instrument", "--ticker", "-i", help="What to trade.")]


def send(
    what: What,
    *,
    instrument: Instrument = "BANK_NIFTY",
    price: Annotated[str | None, typer.Option(help="The signal's price, in points.")] = None,
    stop: Annotated[str, typer.Option(help="How far below the price: points, or 1%.")] = "1%",
    atr: Annotated[str, typer.Option(help="Points, or a part of the price: 0.5%.")] = "0.5%",
    er: Annotated[str, typer.Option(help="Efficiency ratio, 0 to 1.")] = "0.8",
    lots: Annotated[int, typer.Option(min=0, help="The sender's suggestion.")] = 1,
    position: Annotated[str | None, typer.Option(help="Long_1 … Long_6, or ALL to exit.")] = None,
    contracts: Annotated[str, typer.Option(help="Quantity of buy, sell, close.")] = "1",
    portfolio: Annotated[str, typer.Option(help="The portfolio that trades.")] = "main",
    order_id: Annotated[str | None, typer.Option(help="Tells equal signals apart.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has an end.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", help="How long to wait, in s.")] = 30.0,
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Post a signal, and tell what came of it; exit code 1 if it did not trade.

    Examples:

        onefill send base_entry --instrument BANK_NIFTY --price 60000 --wait

        onefill send buy --ticker BTCUSDT --contracts 0.01 --wait

        echo '{"action": "buy", …}' | onefill send -
    """
    import asyncio

    if what.lower() in DIRECT:
        sized = {"ticker": instrument, "contracts": number(contracts, "--contracts")}
        signal = {"action": what.lower(), **sized, **_origin(portfolio, order_id or "send")}
    elif what.upper() in PORTFOLIO:
        fill_in = FillIn(
            portfolio=portfolio,
            instrument=instrument,
            stop=Distance.parse(stop),
            atr=Distance.parse(atr),
            er=number(er, "--er"),
            lots=lots,
            reason="sent by hand",
        )
        signal = {"type": what.upper(), **_origin(portfolio, order_id)}
        signal |= {"position": position} if position else {}
        of_portfolio(signal, price, fill_in)
    else:
        signal = from_file(what)
    _tell(signal, asyncio.run(_deliver(signal, url, timeout_s if wait else None)), as_json)


def of_portfolio(signal: dict[str, Any], price: str | None, fill_in: FillIn) -> None:
    """Make it a whole signal of the portfolio engine. Raises Usage."""
    if price is None:
        raise Usage(f"{signal['type']} needs a price", remedy="Add --price, in points.")
    signal["price"] = number(price, "--price")
    fill_in.complete(signal, number(price, "--price"))


def from_file(name: str) -> dict[str, Any]:
    """A signal as somebody wrote it. Raises Usage."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        known = ", ".join(kind.lower() for kind in (*PORTFOLIO, *DIRECT))
        remedy = f"Write one of {known}; a file that exists; or -."
        raise Usage(f"{name} is no signal and no file: {error.strerror}", remedy=remedy) from None
    try:
        signal = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise Usage(f"{name} is not JSON: {error}", remedy="Write one JSON object.") from None
    if not isinstance(signal, dict):
        raise Usage(f"{name} is not a JSON object", remedy="Write one JSON object.")
    return signal


def _origin(portfolio: str, order_id: str | None) -> dict[str, Any]:
    """Where and when; `send` becomes an order id of its own, so that two equal ones both count."""
    from onefill.ports.clock import RealClock

    now = RealClock().wall()
    unique = f"send-{now:%Y%m%d%H%M%S%f}" if order_id == "send" else order_id
    named = {"portfolio": portfolio, "timestamp": now.isoformat(), "order_id": unique}
    return {name: value for name, value in named.items() if value is not None}


async def _deliver(signal: dict[str, Any], url: str, patience_s: float | None) -> Delivered:
    """Post the signal, and wait for its end if there is patience."""
    from onefill.cli.client import Client
    from onefill.cli.delivery import Courier
    from onefill.ports.clock import RealClock

    settings = options.loaded().settings
    secret = next(iter(settings.secrets.values()), "")
    client = Client(url, token=options.token_of(settings))
    courier = Courier(client, secret, RealClock(), patience_s=patience_s or 0)
    sent = await courier.send(signal, wait=patience_s is not None)
    if patience_s is not None and not sent.is_over:
        sent = await courier.end_of(sent)
    return sent


def number(text: str, option: str) -> Decimal:
    """A finite number. Raises Usage, naming the option."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise Usage(f"{option} is a number, not {text!r}")
    return number


def _tell(signal: dict[str, Any], sent: Delivered, as_json: bool) -> None:
    from onefill.cli import output
    from onefill.cli.delivery import was_refused

    if as_json:
        facts = {"signal_id": sent.signal_id, "status": sent.status, "reason": sent.reason}
        output.print_json({**facts, "duplicate": sent.duplicate, "story": sent.story})
    else:
        what = signal.get("type") or signal.get("action")
        on = signal.get("instrument") or signal.get("ticker") or signal.get("symbol")
        again = " (a duplicate)" if sent.duplicate else ""
        why = f": {output.escaped(sent.reason)}" if sent.reason else ""
        status = output.coloured(sent.status)
        output.console().print(
            f"Signal {sent.signal_id}, {what} {on}: {status}{why}{again}", highlight=False
        )
    if was_refused(sent.status):
        raise Refused(f"the signal ended {sent.status}", remedy=sent.reason or "See the log.")
