"""`onefill resolve` and `onefill unblock`: what only a person can settle."""

from __future__ import annotations

import enum
from typing import Annotated, Any

import typer

from onefill.cli import options
from onefill.cli.options import DEFAULT_URL


class Outcome(enum.StrEnum):
    """What a person says of an order."""

    PLACED = "placed"
    NOT_PLACED = "not_placed"
    PLACE_AGAIN = "place_again"
    ACKNOWLEDGED = "acknowledged"


Why = Annotated[str, typer.Option("--note", help="Why; kept in the audit log.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask back.")]


def resolve(
    client_order_id: Annotated[str, typer.Argument(help="The order's id, as `orders` shows it.")],
    outcome: Annotated[Outcome, typer.Argument(help="What became of it, or what is to be done.")],
    *,
    note: Why = "",
    broker_order_id: Annotated[
        str | None, typer.Option(help="The broker's id of the order (placed).")
    ] = None,
    filled: Annotated[str | None, typer.Option(help="Quantity filled so far (placed).")] = None,
    price: Annotated[str | None, typer.Option(help="Average price of that (placed).")] = None,
    yes: Yes = False,
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Settle a quarantined order: look at the broker first, then say what became of it.

    `not_placed` is final for that order; `place_again` then makes a new one.

    Examples:

        onefill resolve ofone… placed --broker-order-id 25011 --note "in the order book"

        onefill resolve ofone… not_placed --note "in no book an hour later"

        onefill resolve ofone… place_again --note "wanted still"

        onefill resolve ofone… acknowledged
    """
    path = f"/api/orders/{client_order_id}"
    body: dict[str, object] | None
    match outcome:
        case Outcome.ACKNOWLEDGED:
            path, body = f"{path}/acknowledge", None
        case Outcome.PLACE_AGAIN:
            if not yes:
                typer.confirm(
                    "This sends a second order. Is the first surely not there?", abort=True
                )
            path, body = f"{path}/place-again", {"confirm": True, "note": note}
        case _:
            path = f"{path}/resolve"
            body = {
                "outcome": outcome.value,
                "broker_order_id": broker_order_id,
                "filled_quantity": filled,
                "average_price": price,
                "note": note,
            }
    _show(options.client(url).post(path, body), as_json)


def unblock(
    lane: Annotated[str, typer.Argument(help="portfolio/instrument, as `status` shows it.")],
    note: Why = "",
    url: options.Url = DEFAULT_URL,
    as_json: options.Json = False,
) -> None:
    """Let a blocked lane take new exposure again, once you know why it was blocked.

    Examples:

        onefill unblock main/GOLD_MINI --note "compared with the broker"
    """
    from onefill.cli import output

    done: dict[str, Any] = options.client(url).post(f"/api/lanes/{lane}/unblock", {"note": note})
    if as_json:
        output.print_json(done)
        return
    was = f"was blocked: {done['was']}" if done.get("was") else "was not blocked"
    output.console().print(output.escaped(f"{done['lane']} takes new exposure again ({was})."))


def _show(story: dict[str, Any], as_json: bool) -> None:
    from onefill.cli import look, output

    if as_json:
        output.print_json(story)
        return
    output.console().print(output.table("Order", look.ORDERS, [story["order"]]))
