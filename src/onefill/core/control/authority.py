"""Has the store that decides lost what was committed in it? Source: CTL-8.

Each instance remembers how far the store had come. A store that is not that far any more, or is
another one, has forgotten orders that were sent: nothing that it says is unsent may be sent.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from onefill.core.ids import Epoch


class LossKind(enum.Enum):
    """What shows that commits were lost, and what a person has to know of it."""

    EMPTY = "the database is empty, and it was not before"
    OTHER_IDENTITY = "it is another database, or another line of its history, than before"
    LOWER_EPOCH = "the database knows of fewer leaders than before"
    LOWER_POSITION = "the database's log ends before a place that was durable in it"
    WITNESS_AHEAD = "the witness in Redis has seen a later leader than the database"

    @property
    def code(self) -> str:
        """For records and figures."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmark:
    """How far the store had come when it was seen.

    identity: which store, and which line of its history. position: of its log, in bytes, durable.
    epoch: of the lease (0: nobody ever held it). at: by the store's clock.
    """

    identity: str
    position: int
    epoch: Epoch
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Commits are gone. above: the highest epoch that is known to have been given out.

    is_news: nobody has noticed it yet. Else only this instance had not: what follows from the
    loss was done already, and it only has to see that no epoch is given out twice.
    """

    kind: LossKind
    above: Epoch
    is_news: bool


def loss_of(
    remembered: Landmark | None, seen: Landmark, noticed_at: datetime | None
) -> Loss | None:
    """Whether the store lost commits since it was remembered; None when it did not.

    remembered: as of before the store was asked for `seen`; None: it was never seen before.
    noticed_at: when a loss was last noticed there, by the store's clock.
    """
    kind = None if remembered is None else _kind(remembered, seen)
    if remembered is None or kind is None:
        return None
    return Loss(
        kind=kind,
        above=max(remembered.epoch, seen.epoch),
        is_news=noticed_at is None or noticed_at <= remembered.at,
    )


def _kind(remembered: Landmark, seen: Landmark) -> LossKind | None:
    if seen.epoch == 0 and remembered.epoch > 0:
        return LossKind.EMPTY
    if seen.identity != remembered.identity:
        return LossKind.OTHER_IDENTITY
    if seen.epoch < remembered.epoch:
        return LossKind.LOWER_EPOCH
    if seen.position < remembered.position:
        return LossKind.LOWER_POSITION
    return None


def later(one: Landmark | None, other: Landmark) -> Landmark:
    """What to remember of two sights of one store; of two stores, the other."""
    if one is None or one.identity != other.identity:
        return other
    return Landmark(
        identity=other.identity,
        position=max(one.position, other.position),
        epoch=max(one.epoch, other.epoch),
        at=max(one.at, other.at),
    )
