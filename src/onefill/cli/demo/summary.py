"""The judgement at the end: the venue's ledger against the signal log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from onefill.cli.client import Client
from onefill.cli.delivery import is_end
from onefill.cli.output import coloured, console
from onefill.ports.clock import Clock

_PAGE = 500
_POLL_S = 0.1

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a demonstration came to.

    duplicates: executions at the venue that no intent of ours accounts for. missed: signals that
    were acknowledged and came to no end, and fills that the venue does not know.
    """

    signals: Mapping[str, int]
    orders: int
    duplicates: tuple[str, ...]
    missed: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether every signal filled once."""
        return not self.duplicates and not self.missed


def judge(acknowledged: Collection[int], signals: Rows, intents: Rows, ledger: Rows) -> Verdict:
    """Compare what was acknowledged, what was intended, and what the venue executed."""
    status_of = {int(row["id"]): str(row["status"]) for row in signals}
    lost = [
        f"signal {number} is {status_of.get(number, 'not in the log')}"
        for number in sorted(acknowledged)
        if not is_end(status_of.get(number, ""))
    ]
    ours = _filled(intents, "broker_order_id")
    theirs = _filled(ledger, "broker_order_id")
    extra = [
        f"order {number}: the venue executed {quantity}, we booked {ours.get(number, 0)}"
        for number, quantity in theirs.items()
        if quantity > ours.get(number, 0)
    ]
    absent = [
        f"order {number}: we booked {quantity}, the venue executed {theirs.get(number, 0)}"
        for number, quantity in ours.items()
        if quantity > theirs.get(number, 0)
    ]
    return Verdict(
        signals=Counter(status_of.values()),
        orders=len(theirs),
        duplicates=tuple(extra),
        missed=(*lost, *absent),
    )


def everything(client: Client, path: str) -> list[dict[str, Any]]:
    """All rows of a list, page by page."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = client.get(path, limit=_PAGE, cursor=cursor)
        rows += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return rows


async def settled(prod: Client, clock: Clock, limit_s: float) -> None:
    """Wait until every signal has its end, for so long at the most."""
    started_ms = clock.boottime_ms()
    while clock.boottime_ms() - started_ms < limit_s * 1000:
        rows = prod.get("/api/signals", limit=_PAGE)["items"]
        if all(is_end(str(row["status"])) for row in rows):
            return
        await clock.sleep(_POLL_S)


def tell(verdict: Verdict, resent: int, kills: int) -> None:
    """Print the summary."""
    total = sum(verdict.signals.values())
    by_status = ", ".join(f"{n} {coloured(name)}" for name, n in sorted(verdict.signals.items()))
    out = console()
    out.print(f"\n[bold]Summary[/]: {total} signals ({by_status}); {resent} sent twice.")
    out.print(f"{verdict.orders} orders executed at the venue; instances died {kills} times.")
    for name, found in (("duplicates", verdict.duplicates), ("missed", verdict.missed)):
        colour = "bold red" if found else "bold green"
        out.print(f"[{colour}]{name} {len(found)}[/]")
        for line in found[:10]:
            out.print(f"  {line}")


def _filled(rows: Rows, name: str) -> dict[str, Decimal]:
    """Executed quantity by the venue's order id."""
    filled: dict[str, Decimal] = {}
    for row in rows:
        quantity = Decimal(str(row["filled_quantity"]))
        if row[name] is not None and quantity > 0:
            key = str(row[name])
            filled[key] = filled.get(key, Decimal(0)) + quantity
    return filled
