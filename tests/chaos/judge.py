"""The judge: what the exchange's ledger and the database say, by plain HTTP and SQL.

It shares no code with the product, and believes none of its words: orders are counted at the
exchange, sizes are read from the alerts as they were sent, leaders from the stored history.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import asyncpg

Row = Mapping[str, Any]

ENDS = {"executed", "ignored", "rejected", "blocked", "expired", "failed"}
IDLE_S_MAX = 2.0
CLOCK_STEP = timedelta(milliseconds=5)
"""Two processes of one machine read its clock in the order of their acts, nearly."""

_QUERIES = {
    "signals": "SELECT *, payload::json AS body FROM signal_log ORDER BY id",
    "events": "SELECT * FROM signal_events ORDER BY at",
    "intents": "SELECT * FROM order_intents",
    "attempts": "SELECT * FROM order_attempts ORDER BY claimed_at",
    "reigns": "SELECT * FROM leadership_history ORDER BY resource, epoch",
    "leases": "SELECT * FROM leases",
    "legs": "SELECT * FROM position_legs",
}


@dataclass(frozen=True)
class Evidence:
    """All that was found: the exchange's executed orders and executions, and whole tables."""

    orders: Sequence[Row]
    executions: Sequence[Row]
    signals: Sequence[Row]
    events: Sequence[Row]
    intents: Sequence[Row]
    attempts: Sequence[Row]
    reigns: Sequence[Row]
    leases: Sequence[Row]
    legs: Sequence[Row]


async def gather(database_url: str, venue_url: str) -> Evidence:
    """Read everything, now. The exchange is read first: it can only know less than it does then."""
    async with aiohttp.ClientSession() as session, session.get(f"{venue_url}/ledger") as answer:
        ledger = await answer.json()
    connection = await asyncpg.connect(database_url)
    try:
        tables = {
            name: [dict(row) for row in await connection.fetch(query)]
            for name, query in _QUERIES.items()
        }
    finally:
        await connection.close()
    return Evidence(orders=ledger["orders"], executions=ledger["executions"], **tables)


async def judge(
    database_url: str,
    venue_url: str,
    *,
    acknowledged: Collection[int] | None = None,
    signals: int | None = None,
    may_quarantine: bool = False,
    idle_s_max: float | None = None,
    strained_s: Callable[[datetime, datetime], float] = lambda start, end: 0.0,
) -> Evidence:
    """Fail with everything that is wrong. Call it when all signals have come to rest.

    acknowledged: the signals that webhooks answered 2xx for. signals: how many there must be.
    may_quarantine: a class C exchange, where what can't be known goes to a person.
    idle_s_max: how long a lane with work may have waited for anybody, and as much longer as the
    machine had no time then: strained_s, see strain.py.
    """
    seen = await gather(database_url, venue_url)
    complaints = [
        *doubled(seen),
        *lost(seen, acknowledged or (), may_quarantine=may_quarantine),
        *unclaimed(seen),
        *unlike_the_positions(seen),
        *reigned_badly(seen),
        *acted_out_of_turn(seen),
    ]
    if signals is not None and len(seen.signals) != signals:
        complaints.append(f"{len(seen.signals)} signals are logged, not {signals}")
    if idle_s_max is not None:
        complaints += idle_lanes(seen, idle_s_max, strained_s)
    assert not complaints, "\n".join(complaints[:40])
    return seen


def doubled(seen: Evidence) -> Iterator[str]:
    """Orders that were executed twice, and alerts that traded more than they asked for."""
    times = Counter(str(order["client_order_id"]) for order in seen.orders)
    yield from (f"order {name} was executed {n} times" for name, n in times.items() if n > 1)
    signal_of = {row["client_order_id"]: row["signal_id"] for row in seen.intents}
    traded: dict[int | None, Decimal] = defaultdict(Decimal)
    for execution in seen.executions:
        name = execution["client_order_id"]
        if name not in signal_of:
            yield f"the exchange executed {name}, which nobody wanted"
        traded[signal_of.get(name)] += Decimal(execution["quantity"])
    for signal in seen.signals:
        wanted = _asked(signal)
        if wanted is not None and traded[signal["id"]] > wanted:
            yield f"signal {signal['id']} asked for {wanted} and traded {traded[signal['id']]}"


def lost(
    seen: Evidence, acknowledged: Collection[int], *, may_quarantine: bool = False
) -> Iterator[str]:
    """Signals that were acknowledged and are not there, never ended, or did not trade."""
    yield from (
        f"signal {number} was acknowledged and is not logged"
        for number in sorted(set(acknowledged) - {signal["id"] for signal in seen.signals})
    )
    signal_of = {row["client_order_id"]: row["signal_id"] for row in seen.intents}
    traded: dict[int | None, Decimal] = defaultdict(Decimal)
    for execution in seen.executions:
        traded[signal_of.get(execution["client_order_id"])] += Decimal(execution["quantity"])
    with_a_person = {r["signal_id"] for r in seen.intents if r["state"] == "QUARANTINED"}
    for signal in seen.signals:
        number, status = signal["id"], signal["processing_status"]
        if may_quarantine and (number in with_a_person or _waited_for(signal, seen)):
            continue
        wanted = _asked(signal)
        if status not in ENDS:
            yield f"signal {number} is still {status}"
        elif status in ("failed", "expired"):
            yield f"signal {number} is {status}: {signal['reason']}"
        elif status == "executed" and wanted is not None and traded[number] < wanted:
            yield f"signal {number} is executed, and traded {traded[number]} of {wanted}"
        elif status != "executed" and traded[number]:
            yield f"signal {number} is {status}, and traded {traded[number]}"


def unclaimed(seen: Evidence) -> Iterator[str]:
    """Orders that reached the exchange before their attempt was committed, or without one (I4)."""
    claimed = {}
    for attempt in seen.attempts:
        claimed.setdefault(attempt["client_order_id"], attempt["claimed_at"])
    for order in seen.orders:
        at = claimed.get(order["client_order_id"])
        if at is None:
            yield f"order {order['client_order_id']} was sent without a claim"
        elif datetime.fromisoformat(order["received_at"]) < at - CLOCK_STEP:
            yield f"order {order['client_order_id']} was sent before its claim"


def unlike_the_positions(seen: Evidence) -> Iterator[str]:
    """Symbols of which the book holds something else than the exchange sold and bought (I10)."""
    at_exchange: dict[str, Decimal] = defaultdict(Decimal)
    for execution in seen.executions:
        sign = 1 if execution["side"] == "BUY" else -1
        at_exchange[execution["symbol"]] += sign * Decimal(execution["quantity"])
    unsettled = {r["symbol"] for r in seen.intents if r["state"] in ("QUARANTINED", "IN_DOUBT")}
    booked: dict[str, Decimal] = defaultdict(Decimal)
    for leg in seen.legs:
        booked[leg["symbol"]] += leg["bought_quantity"] - leg["sold_quantity"]
    for symbol in sorted((set(booked) | set(at_exchange)) - unsettled):
        if booked[symbol] != at_exchange[symbol]:
            yield f"{symbol}: {booked[symbol]} booked, {at_exchange[symbol]} at the exchange"


def reigned_badly(seen: Evidence) -> Iterator[str]:
    """Epochs without exactly one holder, gaps between them, and reigns that overlap (I1)."""
    for resource, group in itertools.groupby(seen.reigns, key=lambda row: str(row["resource"])):
        reigns = list(group)
        for one, next_one in itertools.pairwise(reigns):
            yield from _followed_badly(one, next_one)
        (lease,) = [row for row in seen.leases if row["resource"] == resource]
        last = reigns[-1]
        if lease["epoch"] != last["epoch"]:
            yield f"the lease is at epoch {lease['epoch']}, the history at {last['epoch']}"
        if lease["holder"] is not None and lease["boot"] != last["boot"]:
            yield f"epoch {last['epoch']} is {lease['holder']}'s by the lease, not by the history"


def _followed_badly(one: Row, next_one: Row) -> Iterator[str]:
    if next_one["epoch"] != one["epoch"] + 1:
        yield f"after epoch {one['epoch']} the history has {next_one['epoch']}"
    if one["released_at"] is None or one["end_reason"] is None:
        yield f"epoch {one['epoch']} has no end, and {next_one['epoch']} began"
    elif one["released_at"] > next_one["became_at"]:
        yield f"epochs {one['epoch']} and {next_one['epoch']} overlap"


def acted_out_of_turn(seen: Evidence) -> Iterator[str]:
    """Claims and decisions under an epoch by another than its holder, or after its end (I1)."""
    reigns = {row["epoch"]: row for row in seen.reigns if row["resource"] == "leader"}
    acts = [
        *((row["epoch"], row["instance"], row["claimed_at"], "claimed") for row in seen.attempts),
        *(
            (row["epoch"], row["instance"], row["at"], row["status"])
            for row in seen.events
            if row["status"] in ("decided", "executing")
        ),
    ]
    for epoch, instance, at, what in acts:
        if epoch is None:
            continue  # active-active: the lane's lock and the order's own row decide there
        reign, after = reigns.get(epoch), reigns.get(epoch + 1)
        if reign is None or reign["instance"] != instance:
            yield f"{instance} {what} under epoch {epoch}, which was not its"
        elif after is not None and at > after["became_at"]:
            yield f"{instance} {what} under epoch {epoch} after epoch {epoch + 1} began"


def idle_lanes(
    seen: Evidence,
    idle_s_max: float = IDLE_S_MAX,
    strained_s: Callable[[datetime, datetime], float] = lambda start, end: 0.0,
) -> Iterator[str]:
    """Lanes in which something was to be done, and nobody did anything for longer than that.

    A lane that waits for the exchange's word about one order (a second attempt, or an answer that
    never came) is not idle, but can't go on: that order's own wait is left out, from its first
    claim on, and what comes after it in the lane counts from its end.
    """
    doubtful = {row["client_order_id"] for row in seen.attempts if row["attempt"] > 1}
    doubtful |= {row["client_order_id"] for row in seen.attempts if row["outcome"] is None}
    waits = {row["signal_id"] for row in seen.intents if row["client_order_id"] in doubtful}
    events: dict[int, list[Row]] = defaultdict(list)
    for event in seen.events:
        events[event["signal_id"]].append(event)
    lanes: dict[str, list[Row]] = defaultdict(list)
    for signal in seen.signals:
        lanes[signal["lane"]].append(signal)
    for lane, signals in lanes.items():
        free_at = signals[0]["received_at"]
        for signal in signals:
            steps = [("received", signal["received_at"])]
            steps += [(event["status"], event["at"]) for event in events[signal["id"]]]
            steps = [(status, max(free_at, at)) for status, at in steps]
            gaps = [
                (after - before).total_seconds() - strained_s(before, after)
                for (status, before), (_, after) in itertools.pairwise(steps)
                if not (status == "executing" and signal["id"] in waits)
            ]
            if max(gaps, default=0.0) > idle_s_max:
                yield f"lane {lane}: signal {signal['id']} waited {max(gaps):.2f} s for anybody"
            free_at = max(at for _, at in steps)


def _asked(signal: Row) -> Decimal | None:
    """How much an alert that brings its own size is to trade; None where an engine sizes."""
    body = json.loads(signal["body"]) if isinstance(signal["body"], str) else signal["body"]
    if str(body.get("action", "")).lower() not in ("buy", "sell"):
        return None
    return Decimal(str(body["contracts"]))


def _waited_for(signal: Row, seen: Evidence) -> bool:
    """Whether its lane has an order that a person must judge: nothing is opened there meanwhile."""
    stuck = {row["lane"] for row in seen.intents if row["state"] == "QUARANTINED"}
    may_wait = ("received", "decided", "expired")
    return signal["lane"] in stuck and signal["processing_status"] in may_wait
