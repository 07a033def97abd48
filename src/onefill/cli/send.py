"""`onefill send`: one test signal."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onefill.cli import options
from onefill.cli.client import DEFAULT_URL, Client
from onefill.cli.errors import Refused, Usage

if TYPE_CHECKING:
    from onefill.cli.delivery import Delivered

DIRECT = ("buy", "sell", "close")
PORTFOLIO = ("BASE_ENTRY", "PYRAMID", "EXIT", "MARKET_DATA")
_SLOTS = {"BASE_ENTRY": "Long_1", "PYRAMID": "Long_2", "EXIT": "ALL"}


def send(
    what: Annotated[
        str,
        typer.Argument(
            help="base_entry, pyramid, exit, market_data; buy, sell, close; a JSON file; or - for "
            "standard input."
        ),
    ],
    instrument: Annotated[
        str, typer.Option("--instrument", "--ticker", "-i", help="What to trade.")
    ] = "BANK_NIFTY",
    price: Annotated[str | None, typer.Option(help="The signal's price, in points.")] = None,
    stop: Annotated[str, typer.Option(help="Points, or 1% below the price.")] = "1%",
    atr: Annotated[str, typer.Option(help="Points, or a part of the price.")] = "0.5%",
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

        onefill send exit --instrument BANK_NIFTY --price 60100

        onefill send buy --ticker BTCUSDT --contracts 0.01 --wait

        echo '{"action": "buy", …}' | onefill send -
    """
    from onefill.cli.delivery import Courier
    from onefill.ports.clock import RealClock

    clock = RealClock()
    settings = options.loaded().settings
    if what.lower() in DIRECT:
        signal = direct(what.lower(), instrument, contracts, portfolio, order_id, clock.wall())
    elif what.upper() in PORTFOLIO:
        signal = of_portfolio(
            what.upper(), instrument, price, stop, atr, er, lots, position, portfolio, clock.wall()
        ) | ({"order_id": order_id} if order_id else {})
    else:
        signal = from_file(what)
    secret = next(iter(settings.secrets.values()), "")
    client = Client(url, token=options.token_of(settings))
    courier = Courier(client, secret, clock, patience_s=timeout_s if wait else 0)
    sent = courier.send(signal, wait=wait)
    if wait and not sent.is_over:
        sent = courier.end_of(sent)
    _tell(signal, sent, as_json)


def direct(
    action: str, ticker: str, contracts: str, portfolio: str, order_id: str | None, now: datetime
) -> dict[str, object]:
    """A signal of the direct policy. Raises Usage."""
    return {
        "action": action,
        "ticker": ticker,
        "contracts": _number(contracts, "--contracts"),
        "portfolio": portfolio,
        "timestamp": now.isoformat(),
        "order_id": order_id or f"send-{now:%Y%m%d%H%M%S%f}",
    }


def of_portfolio(
    kind: str,
    instrument: str,
    price: str | None,
    stop: str,
    atr: str,
    er: str,
    lots: int,
    position: str | None,
    portfolio: str,
    now: datetime,
) -> dict[str, object]:
    """A signal of the portfolio engine. Raises Usage."""
    if price is None:
        raise Usage(f"{kind} needs a price", remedy="Add --price, in points.")
    at = _number(price, "--price")
    base: dict[str, object] = {
        "type": kind,
        "instrument": instrument,
        "portfolio": portfolio,
        "price": at,
        "atr": part_of(at, atr, "--atr"),
        "supertrend": at - part_of(at, stop, "--stop"),
        "timestamp": now.isoformat(),
    }
    if kind == "MARKET_DATA":
        return base
    sized = {
        "position": position or _SLOTS[kind],
        "stop": at - part_of(at, stop, "--stop"),
        "lots": lots,
        "er": _number(er, "--er"),
    }
    return base | sized | ({"reason": "sent by hand"} if kind == "EXIT" else {})


def part_of(price: Decimal, written: str, option: str) -> Decimal:
    """`2%` of a price, to a hundredth of a point; or the points as they are written."""
    if written.endswith("%"):
        percent = _number(written.removesuffix("%"), option)
        return (price * percent / 100).quantize(Decimal("0.01"))
    return _number(written, option)


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


def _number(text: str, option: str) -> Decimal:
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
