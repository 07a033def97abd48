"""What must hold of the whole book, whatever happened: asked at start, by audits, by tests."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from onefill.core.ids import ClientOrderId
from onefill.core.intent import ACCOMPLISHED, IntentState, OrderIntent, Side, Verb
from onefill.core.money import ZERO, plain
from onefill.core.orders.hearing import Fill
from onefill.core.position import Position, PositionStatus
from onefill.core.signal import NET_SLOT

_UNSENT = frozenset({IntentState.NEW, IntentState.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A broken promise: its name, and what broke it, in words."""

    promise: str
    what: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.what}"


def violations(
    intents: Sequence[OrderIntent], positions: Sequence[Position], fills: Sequence[Fill]
) -> tuple[Violation, ...]:
    """Every promise that these do not keep; none in a sound book.

    intents, fills: all of those positions. Single intents may be doubted; their sums may not.
    """
    by_id = {intent.client_order_id: intent for intent in intents}
    return (
        *_positions_equal_their_fills(by_id, positions, fills),
        *_intents_equal_their_fills(intents, fills),
        *_one_live_position_a_slot(positions),
        *_one_intent_an_action(intents),
        *_states_match_quantities(intents),
        *_nothing_overtakes_its_predecessor(by_id),
        *_closed_is_flat(positions),
        *_longs_cover_shorts(positions),
    )


def _positions_equal_their_fills(
    intents: Mapping[ClientOrderId, OrderIntent],
    positions: Sequence[Position],
    fills: Iterable[Fill],
) -> Iterator[Violation]:
    """A position is the sum of its fills, leg by leg, in quantity and in money."""
    sums: dict[tuple[str, str, Side], list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    for fill in fills:
        intent = intents.get(fill.client_order_id)
        if intent is None:
            yield Violation(
                promise="fills_have_intents", what=f"a fill of unknown {fill.client_order_id}"
            )
        elif intent.position_id is not None:
            total = sums[intent.position_id, intent.leg, intent.order.side]
            total[0] += fill.quantity
            total[1] += fill.value
    for position in positions:
        for leg in position.legs:
            booked = [[leg.bought_quantity, leg.bought_value], [leg.sold_quantity, leg.sold_value]]
            filled = [sums[position.id, leg.name, side] for side in (Side.BUY, Side.SELL)]
            if booked != filled:
                yield Violation(
                    promise="positions_equal_fills",
                    what=f"{position.id} {leg.name} booked {_pairs(booked)}, "
                    f"filled {_pairs(filled)}",
                )


def _pairs(pairs: Sequence[Sequence[Decimal]]) -> str:
    return " / ".join(" for ".join(plain(value) for value in pair) for pair in pairs)


def _intents_equal_their_fills(
    intents: Iterable[OrderIntent], fills: Iterable[Fill]
) -> Iterator[Violation]:
    quantities: dict[ClientOrderId, Decimal] = defaultdict(lambda: ZERO)
    for fill in fills:
        quantities[fill.client_order_id] += fill.quantity
    for intent in intents:
        filled = quantities[intent.client_order_id]
        if filled != intent.filled_quantity:
            yield Violation(
                promise="intents_equal_fills",
                what=f"{intent.client_order_id} says {plain(intent.filled_quantity)}, "
                f"its fills {plain(filled)}",
            )


def _one_live_position_a_slot(positions: Iterable[Position]) -> Iterator[Violation]:
    slots = Counter((p.portfolio, p.instrument, p.slot) for p in positions if p.is_live)
    for slot, count in slots.items():
        if count > 1:
            yield Violation(promise="one_position_a_slot", what=f"{count} in {'/'.join(slot)}")


def _one_intent_an_action(intents: Sequence[OrderIntent]) -> Iterator[Violation]:
    actions = Counter((i.source, i.leg, i.action, i.n) for i in intents)
    names = Counter(intent.client_order_id for intent in intents)
    for key, count in (*actions.items(), *names.items()):
        if count > 1:
            yield Violation(promise="one_intent_an_action", what=f"{count} of {key}")


def _states_match_quantities(intents: Iterable[OrderIntent]) -> Iterator[Violation]:
    for intent in intents:
        if intent.verb is not Verb.PLACE:
            continue
        asked, filled = intent.order.quantity, intent.filled_quantity
        if filled > asked:
            yield Violation(
                promise="never_more_than_asked",
                what=f"{intent.client_order_id} filled {plain(filled)} of {plain(asked)}",
            )
        if (intent.state is IntentState.FILLED) != (filled >= asked):
            yield Violation(
                promise="filled_means_filled",
                what=f"{intent.client_order_id} is {intent.state} "
                f"with {plain(filled)} of {plain(asked)}",
            )


def _nothing_overtakes_its_predecessor(
    intents: Mapping[ClientOrderId, OrderIntent],
) -> Iterator[Violation]:
    for intent in intents.values():
        before = intents.get(intent.after) if intent.after is not None else None
        if before is None or before.state in ACCOMPLISHED or intent.state in _UNSENT:
            continue
        yield Violation(
            promise="legs_in_order",
            what=f"{intent.client_order_id} is {intent.state}, "
            f"but {before.client_order_id} before it is {before.state}",
        )


def _closed_is_flat(positions: Iterable[Position]) -> Iterator[Violation]:
    for position in positions:
        closed = position.status is PositionStatus.CLOSED
        if closed and not position.is_flat:
            yield Violation(promise="closed_is_flat", what=f"{position.id} is closed and holds")
        if closed != (position.closed_at is not None):
            yield Violation(promise="closed_has_a_time", what=f"{position.id} {position.status}")


def _longs_cover_shorts(positions: Iterable[Position]) -> Iterator[Violation]:
    """No naked option: what is short in one leg is held long in the others."""
    for position in positions:
        held = sum((leg.net for leg in position.legs), ZERO)
        if position.slot != NET_SLOT and held < 0:
            yield Violation(promise="longs_cover_shorts", what=f"{position.id} is {plain(held)}")
