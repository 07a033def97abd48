"""`onefill reconcile`: our book held against the brokers'."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from onefill.cli import options
from onefill.cli.options import DEFAULT_URL

_KINDS = {
    "quantity": "red",
    "missed_fill": "cyan",
    "partial_fill": "cyan",
    "ended": "cyan",
    "second_order": "bold red",
    "orphan": "red",
    "unknown_of_ours": "bold red",
    "stranger": "yellow",
}


def reconcile(
    *,
    apply: Annotated[
        bool,
        typer.Option(
            "--apply",
            help="Book all that brokers say of our own orders, and what orders by hand explain.",
        ),
    ] = False,
    price: Annotated[
        list[str] | None,
        typer.Option(
            help="BROKER/ACCOUNT/SYMBOL=PRICE: book what was traded by hand there, at this price."
        ),
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Only show the last report.")] = False,
    accept: Annotated[
        str | None,
        typer.Option(help="BROKER/ACCOUNT/ORDER_ID with our mark that you have looked at."),
    ] = None,
    note: Annotated[str, typer.Option("--note", help="Why; kept in the audit log.")] = "",
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Compare our book with the brokers', and show what differs and what would settle it.

    Examples:

        onefill reconcile

        onefill reconcile --apply

        onefill reconcile --price openalgo/main/GOLDM05JAN26FUT=78120 --note "closed by phone"

        onefill reconcile --accept binance/paper/1000000017 --note "from before the restore"
    """
    from onefill.cli import output

    wish = {"apply": apply, "prices": [_price(each) for each in price or ()], "note": note}
    row = _asked(url, wish, last=last, accept=accept, note=note)
    if as_json:
        output.print_json(row)
        return
    _show(row)


def _asked(
    url: str, wish: dict[str, object], *, last: bool, accept: str | None, note: str
) -> dict[str, Any]:
    client = options.client(url)
    if last:
        return dict(client.get("/api/reconciliation"))
    if accept is None:
        return dict(client.post("/api/reconciliation/run", wish))
    broker, account, number = _order(accept)
    body = {"broker": broker, "account": account, "broker_order_id": number, "note": note}
    return dict(client.post("/api/reconciliation/accept", body))


def _order(text: str) -> tuple[str, str, str]:
    from onefill.cli.errors import Usage

    parts = text.split("/", 2)
    if len(parts) != 3 or not all(parts):
        raise Usage(f"{text!r} is no order; write BROKER/ACCOUNT/ORDER_ID")
    return parts[0], parts[1], parts[2]


def _price(text: str) -> dict[str, str]:
    from onefill.cli.errors import Usage

    name, _, price = text.partition("=")
    parts = name.split("/", 2)
    if len(parts) != 3 or not all(parts) or not price:
        raise Usage(f"{text!r} is no price; write BROKER/ACCOUNT/SYMBOL=PRICE")
    return {"broker": parts[0], "account": parts[1], "symbol": parts[2], "price": price}


def _show(row: dict[str, Any]) -> None:
    from onefill.cli import output
    from onefill.cli.output import Column, escaped, text

    console, report = output.console(), row["report"]
    verdict = "[green]All books agree[/]" if row["clean"] else "[bold red]The books differ[/]"
    when = output.clock_time(row["at"])
    console.print(f"{verdict} ({when} UTC, {escaped(row['trigger'])}, {escaped(row['instance'])}).")
    for broker in report.get("unreachable") or ():
        console.print(f"[bold red]{escaped(broker)} did not answer.[/]")
    columns = (
        Column("broker", lambda f: escaped(f"{f['broker']}/{f['account']}")),
        Column("symbol", text("symbol")),
        Column("what", lambda f: f"[{_KINDS.get(f['kind'], 'red')}]{escaped(f['kind'])}[/]"),
        Column("ours", text("ours"), right=True),
        Column("theirs", text("theirs"), right=True),
        Column("settled", _settled),
        Column("detail", text("detail"), wraps=True),
        Column("what to do", text("remedy"), wraps=True),
    )
    if report.get("findings"):
        booked = all(finding["applied"] for finding in report["findings"])
        title = "What differed, and is booked now" if booked else "Differences"
        console.print(output.table(title, columns, report["findings"]))


def _settled(finding: Any) -> str:
    if finding["applied"]:
        return "[green]booked[/]"
    if finding["blocks"]:
        return "[bold red]blocks[/]"
    if finding["proposal"] == "adjust" and not finding.get("price"):
        return "--price"
    return "--apply" if finding["proposal"] in ("book", "adjust") else "by hand"
