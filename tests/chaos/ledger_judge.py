"""Judges what a venue's ledger says, by itself: it knows nothing of the product, nor its words.

It reads the ledger's JSON, and how much was wished for. Nothing else is believed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

Ledger = Mapping[str, Sequence[Mapping[str, Any]]]


def complaints(ledger: Ledger, wished: Mapping[str, Decimal], *, all_of_it: bool) -> list[str]:
    """What is wrong; empty where each wish was executed once at the most.

    wished: the net quantity by symbol that all accepted signals add up to, each to be bought by
    one order of its own. all_of_it: whether nothing may be missing either.
    """
    return [
        *_executed_twice(ledger),
        *_impossible(ledger),
        *_against_the_wishes(ledger, wished, all_of_it=all_of_it),
    ]


def _executed_twice(ledger: Ledger) -> Iterator[str]:
    """More than one order that filled, under one client order id."""
    names = Counter(order["client_order_id"] for order in _filled(ledger))
    for name, times in names.items():
        if times > 1:
            yield f"{name} executed {times} times"


def _impossible(ledger: Ledger) -> Iterator[str]:
    """A ledger that contradicts itself can't acquit anybody."""
    numbers = [execution["execution_id"] for execution in ledger["executions"]]
    if len(set(numbers)) != len(numbers):
        yield "an execution is listed twice"
    traded: dict[str, Decimal] = defaultdict(Decimal)
    for execution in ledger["executions"]:
        traded[execution["broker_order_id"]] += Decimal(str(execution["quantity"]))
    for order in _filled(ledger):
        filled, number = Decimal(str(order["filled_quantity"])), order["broker_order_id"]
        if traded.pop(number, Decimal(0)) != filled:
            yield f"the fills of {number} are not its filled quantity"
        if filled > Decimal(str(order["quantity"])):
            yield f"{number} filled more than it asked for"
    if traded:
        yield f"executions without an order: {sorted(traded)}"


def _against_the_wishes(
    ledger: Ledger, wished: Mapping[str, Decimal], *, all_of_it: bool
) -> Iterator[str]:
    net: dict[str, Decimal] = defaultdict(Decimal)
    for execution in ledger["executions"]:
        sign = 1 if execution["side"] == "BUY" else -1
        net[execution["symbol"]] += sign * Decimal(str(execution["quantity"]))
    for symbol in sorted({*net, *wished}):
        got, wanted = net[symbol], wished.get(symbol, Decimal(0))
        if got > wanted:
            yield f"{symbol}: {got} executed, {wanted} wished for"
        if got < wanted and all_of_it:
            yield f"{symbol}: only {got} of {wanted} executed"


def _filled(ledger: Ledger) -> list[Mapping[str, Any]]:
    return [order for order in ledger["orders"] if Decimal(str(order["filled_quantity"])) > 0]
