"""Injected faults: what goes wrong, how often, and for which requests."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from onefill.venue.clock import Dice
from onefill.venue.wire import Reply, answer, decimal_of, integer_of, texts


class FaultKind(enum.StrEnum):
    """What can be made to go wrong. Source: ORD-13."""

    LATENCY = "latency"
    """Nothing is looked at before `ms` have passed."""
    DROP_REPLY = "drop_reply"
    """Done, and the connection closed without an answer."""
    REJECT = "reject"
    """Not done, and definitely refused."""
    ERROR_BEFORE = "error_before"
    """Not done, and a 503 that says so."""
    ERROR_AFTER = "error_after"
    """Done, and a 503 that doesn't know."""
    LYING_400 = "lying_400"
    """Done, and a 400 that sounds like a failure."""
    LATE = "late"
    """Answered as unknown; executes, and can be seen, only after `ms`."""
    LATE_FILL = "late_fill"
    """Accepted at once, and does not trade before `ms` have passed."""
    DUPLICATE_FILL = "duplicate_fill"
    """Its executions appear twice in the lists of trades."""
    PARTIAL_FILL = "partial_fill"
    """Fills `quantity` on each price tick."""
    STALL = "stall"
    """Done, and answered only after `ms`."""
    STREAM_DROP = "stream_drop"
    """An event of a user stream is never sent."""
    STREAM_DUPLICATE = "stream_duplicate"
    """It is sent twice."""
    STREAM_DELAY = "stream_delay"
    """It is sent after `ms`; others overtake it."""
    STREAM_STALL = "stream_stall"
    """It and all that follow are held back for `ms`."""
    STREAM_CUT = "stream_cut"
    """It is lost, and the account's connections are closed."""

    @property
    def is_of_streams(self) -> bool:
        """Whether it strikes events rather than requests."""
        return self.value.startswith("stream_")


ANY = "any"
STREAM = "stream"
"""The kind of what is told in a user stream."""
ANSWERS = (
    FaultKind.REJECT,
    FaultKind.ERROR_BEFORE,
    FaultKind.ERROR_AFTER,
    FaultKind.LYING_400,
    FaultKind.LATE,
)
"""Faults that replace the answer; each has usual words in each dialect."""


class Fault(msgspec.Struct):
    """One injected fault. It ends when its `next` has counted down, or with all others."""

    kind: FaultKind
    probability: float = 1.0
    next: int | None = None
    ms: int = 0
    quantity: Decimal | None = None
    match: dict[str, str] = {}
    status: int | None = None
    body: dict[str, object] | str | None = None
    """What is answered instead of the dialect's usual words for this kind."""

    def said(self, usual: Reply) -> Reply:
        """The answer: the dialect's usual one, but for what this fault sets."""
        status = self.status or usual.status
        if self.body is None:
            return Reply(status, usual.body)
        if isinstance(self.body, str):
            return Reply(status, self.body.encode())
        return answer(self.body, status)

    def fits(self, facts: Mapping[str, str]) -> bool:
        """Whether the request, or the event, is one that this fault is meant for.

        Unless it says otherwise: placing an order, or any event.
        """
        if self.kind.is_of_streams:
            named = all(facts.get(name) == value for name, value in self.match.items())
            return facts.get("kind") == STREAM and named
        if facts.get("kind") == STREAM:
            return False
        wanted = self.match.get("kind", "place")
        if wanted not in (ANY, facts.get("kind")):
            return False
        return all(facts.get(name) == value for name, value in self.match.items() if name != "kind")


class Faults:
    """The faults in force. Several can hit one request, one of each kind."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self.active: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put a fault into force, after those that are."""
        self.active.append(fault)

    def clear(self) -> None:
        """End all faults; what they have already caused goes on."""
        self.active.clear()

    def strike(self, facts: Mapping[str, str]) -> dict[FaultKind, Fault]:
        """The faults that hit this request; those with a `next` are counted down."""
        hits: dict[FaultKind, Fault] = {}
        for fault in self.active:
            if fault.kind in hits or not fault.fits(facts):
                continue
            if self._dice.falls(fault.probability):
                hits[fault.kind] = fault
        for fault in hits.values():
            if fault.next is not None:
                fault.next -= 1
        self.active = [fault for fault in self.active if fault.next != 0]
        return hits


def read_fault(wish: Mapping[str, object]) -> Fault | str:
    """The fault that a request for one describes, or what is wrong with the description."""
    known = {"kind", "probability", "next", "ms", "quantity", "match", "status", "body"}
    unknown = sorted(set(wish) - known)
    if unknown:
        return f"unknown field {unknown[0]}; known are {', '.join(sorted(known))}"
    if wish.get("kind") not in list(FaultKind):
        return f"kind must be one of {', '.join(FaultKind)}"
    fault = _read_numbers(wish)
    return fault if isinstance(fault, str) else _read_answer(wish, fault)


def _read_answer(wish: Mapping[str, object], fault: Fault) -> Fault | str:
    status, body = integer_of(wish.get("status")), wish.get("body")
    is_set = wish.get("status") is not None or body is not None
    checks = (
        (not is_set or fault.kind in ANSWERS, f"status and body go with {', '.join(ANSWERS)}"),
        (wish.get("status") is None or 200 <= (status or 0) < 600, "status is one of HTTP's"),
        (body is None or isinstance(body, dict | str), "body is an object or a text"),
    )
    for holds, complaint in checks:
        if not holds:
            return complaint
    fault.status, fault.body = status, body if isinstance(body, dict | str) else None
    return fault


def _read_numbers(wish: Mapping[str, object]) -> Fault | str:
    probability = decimal_of(wish.get("probability", 1))
    ms = integer_of(wish.get("ms", 0))
    count = integer_of(wish["next"]) if wish.get("next") is not None else None
    quantity = decimal_of(wish["quantity"]) if wish.get("quantity") is not None else None
    match: object = wish.get("match") or {}
    checks = (
        (probability is not None and 0 <= probability <= 1, "probability is between 0 and 1"),
        (ms is not None and ms >= 0, "ms is a whole number, not negative"),
        (wish.get("next") is None or (count or 0) > 0, "next is a whole number above 0"),
        (wish.get("quantity") is None or (quantity or 0) > 0, "quantity is above 0"),
        (wish["kind"] != FaultKind.PARTIAL_FILL or quantity, "partial_fill needs a quantity"),
        (isinstance(match, dict), "match is an object of field and value"),
    )
    for holds, complaint in checks:
        if not holds:
            return complaint
    return Fault(
        kind=FaultKind(str(wish["kind"])),
        probability=float(probability or 0),
        next=count,
        ms=ms or 0,
        quantity=quantity,
        match=texts(match) if isinstance(match, dict) else {},
    )
