"""`onefill status`, `signals`, `positions`, `orders`: what is, and what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from onefill.cli import options, output
from onefill.cli.options import DEFAULT_URL
from onefill.cli.output import Column, Row, escaped, grouped, moment, money, quantity, state, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onefill.cli.client import Client


def holdings(row: Row) -> str:
    """What a position's legs hold now, such as `+30 BANKNIFTY30DEC2560000CE`."""
    legs = (leg for leg in row.get("legs") or () if leg.get("net") not in (None, "0"))
    return escaped(", ".join(f"{_signed(leg['net'])} {leg['symbol']}" for leg in legs))


def _age(row: Row) -> str:
    age_ms = row.get("heartbeat_age_ms")
    if age_ms is None:
        return ""
    text = f"{int(age_ms) / 1000:.0f} s ago"
    return f"[bold red]{text}[/]" if row.get("stale") else text


def _signed(net: object) -> str:
    text = str(net)
    return text if text.startswith("-") else f"+{text}"


SIGNALS = (
    Column("id", text("id"), right=True),
    Column("received", moment("received_at")),
    Column("portfolio", text("portfolio")),
    Column("instrument", text("instrument")),
    Column("kind", text("kind")),
    Column("status", state("status")),
    Column("reason", text("reason"), wraps=True),
    Column("dup", text("duplicates"), right=True),
)
POSITIONS = (
    Column("portfolio", text("portfolio")),
    Column("instrument", text("instrument")),
    Column("slot", text("slot")),
    Column("status", state("status")),
    Column("lots", text("lots"), right=True),
    Column("entry", money("entry_price"), right=True),
    Column("stop", money("stop"), right=True),
    Column("price", money("last_price"), right=True),
    Column("realised", money("realised"), right=True),
    Column("unrealised", money("unrealised"), right=True),
    Column("holds", holdings, wraps=True),
)
ORDERS = (
    Column("client order id", text("client_order_id")),
    Column("created", moment("created_at")),
    Column("venue", lambda row: output.badge(row.get("venue") == "live")),
    Column("symbol", text("symbol")),
    Column("side", text("side")),
    Column("quantity", quantity("quantity"), right=True),
    Column("filled", quantity("filled_quantity"), right=True),
    Column("price", money("average_price"), right=True),
    Column("trigger", money("trigger_price"), right=True),
    Column("state", state("state")),
    Column("reason", text("reason"), wraps=True),
)
INSTANCES = (
    Column("instance", text("instance")),
    Column("state", state("state")),
    Column("leader", lambda row: "yes" if row.get("is_leader") else ""),
    Column("heartbeat", _age),
    Column("started", moment("started_at")),
    Column("url", text("url")),
    Column("version", text("version")),
)


MISSED = (
    Column("raised", moment("raised_at")),
    Column("came right", moment("cleared_at")),
    Column("kind", text("kind")),
    Column("what", text("says"), wraps=True),
)


def signals(
    status: Annotated[str | None, typer.Option(help="Only with this status.")] = None,
    portfolio: options.Portfolio = None,
    *,
    missed: Annotated[
        bool, typer.Option("--missed", help="Those that should have come, and did not.")
    ] = False,
    limit: options.Limit = 20,
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Show the latest signals and what became of them.

    Examples:

        onefill signals --status blocked

        onefill signals --missed

        onefill signals --limit 100 --json
    """
    if missed:
        _show("Missed", MISSED, options.client(url).get("/api/missed", limit=limit), as_json)
        return
    page = options.client(url).get("/api/signals", status=status, portfolio=portfolio, limit=limit)
    _show("Signals", SIGNALS, page, as_json)


def positions(
    portfolio: options.Portfolio = None,
    closed: Annotated[bool, typer.Option("--closed", help="Those that are over as well.")] = False,
    limit: options.Limit = 50,
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Show what is held.

    Examples:

        onefill positions --portfolio main

        onefill positions --closed --json
    """
    page = options.client(url).get(
        "/api/positions", portfolio=portfolio, closed="true" if closed else None, limit=limit
    )
    _show("Positions", POSITIONS, page, as_json)


def orders(
    state: Annotated[str | None, typer.Option(help="Only in this state (QUARANTINED, …).")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only of this symbol.")] = None,
    limit: options.Limit = 20,
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Show the latest order intents: what was asked of brokers, and what they did.

    Examples:

        onefill orders --state IN_DOUBT

        onefill orders --symbol BTCUSDT --json
    """
    page = options.client(url).get("/api/orders", state=state, symbol=symbol, limit=limit)
    _show("Orders", ORDERS, page, as_json)


def status(
    portfolio: options.Portfolio = None,
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Show who trades, whether all is well, and what the portfolio is worth.

    Examples:

        onefill status

        onefill status --url http://prod:8095 --json
    """
    client = options.client(url)
    found = {
        "status": client.get("/api/status"),
        "instances": _instances(client),
        "portfolio": _portfolio(client, portfolio),
    }
    if as_json:
        output.print_json(found)
        return
    _print_status(found)


def rows_of(page: Any) -> list[dict[str, Any]]:
    """The rows of a list's page, newest first."""
    rows: list[dict[str, Any]] = page["items"]
    return rows


def _show(title: str, columns: Sequence[Column], page: Any, as_json: bool) -> None:
    if as_json:
        output.print_json(page)
        return
    rows = rows_of(page)
    if not rows:
        output.console().print(f"No {title.lower()}.")
        return
    output.console().print(output.table(title, columns, rows))
    if isinstance(page, dict) and page.get("next_cursor"):
        output.console().print("[dim]There are more; raise --limit.[/]")


def _instances(client: Client) -> list[Row]:
    """All of them, or none while the store that knows them is away: the rest is shown even so."""
    answer = client.ask("GET", "/coordinator/instances")
    return list(answer.body["instances"]) if answer.is_good else []


def _portfolio(client: Client, portfolio: str | None) -> Any:
    """The portfolio's row, or None while nothing has traded in it."""
    answer = client.ask("GET", "/api/portfolio", query={"portfolio": portfolio})
    return answer.body if answer.is_good else None


def _print_status(found: dict[str, Any]) -> None:
    who, console = found["status"], output.console()
    epoch = "" if who["epoch"] is None else f", epoch {who['epoch']}"
    console.print(
        f"{output.badge(who['venue'] == 'LIVE')} [bold]{escaped(who['instance'])}[/] is "
        f"{output.coloured(who['state'])}{epoch}; "
        f"active: {escaped(who['leader'] or 'nobody')}; database {who['database']}"
    )
    for line in _worries(who):
        console.print(line)
    console.print(output.table("Instances", INSTANCES, found["instances"]))
    if found["portfolio"] is not None:
        console.print(portfolio_line(found["portfolio"]))


def _worries(who: dict[str, Any]) -> Iterator[str]:
    """What a person must know first."""
    if who.get("paused"):
        by = escaped(who.get("paused_by"))
        too = " [bold red]with its exits and stops[/]" if who.get("exits_paused") else ""
        yield f"[yellow]Trading is paused{too} by {by}; `onefill resume` ends that.[/]"
    if who.get("loss"):
        since, found = who["loss"]["noticed_at"], escaped(who["loss"]["found"])
        yield f"[bold red]SAFE since {since}: {found}.[/]"
        yield "Nothing is sent; see `onefill reconcile --last`, or `onefill end-safe`."
    if who.get("redis_connected") is False:
        yield "[bold red]Redis Disconnected[/]"
    if who.get("spooled"):
        yield f"[bold red]{who['spooled']} signals wait in the spool for the database.[/]"
    for name in ("in_doubt", "quarantined"):
        if who.get(name):
            many = f"{who[name]} orders {name.replace('_', ' ')}"
            yield f"[bold red]{many}; see `onefill orders`[/]"
    for miss in who.get("missed") or ():
        yield f"[bold red]{escaped(miss['says'])}[/]"
    for lane in who.get("blocked_lanes") or ():
        yield f"[bold red]{escaped(lane['lane'])} is blocked: {escaped(lane['reason'])}[/]"


def portfolio_line(row: Row) -> str:
    """A portfolio in one line: equity, risk, margin."""
    return (
        f"Portfolio [bold]{escaped(row.get('portfolio'))}[/]: "
        f"equity ₹{grouped(row.get('open_equity'), 0)} "
        f"(closed ₹{grouped(row.get('closed_equity'), 0)}), "
        f"risk {grouped(row.get('total_risk_percent'))} %, "
        f"volatility {grouped(row.get('total_vol_percent'))} %, "
        f"margin ₹{grouped(row.get('margin_used'), 0)}, "
        f"{escaped(row.get('positions'))} positions"
    )
