"""Telling placed, definitely not placed, and unknown apart (ORD-5).

Each broker lists, as data, the answers that prove that an order was not placed. What is not
listed proves nothing, whatever it sounds like.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ParamSpec, TypeVar

import msgspec

from onefill.brokers.http import Reply
from onefill.core.errors import BrokerUnavailable, OnefillError
from onefill.core.intent import Side

_EXCERPT_CHARACTERS = 300
_READ_BYTES = 4_096
_MAGNITUDE, _DIGITS = 20, 40
_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")
_decoder = msgspec.json.Decoder(float_hook=Decimal)

UNREADABLE = (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError)
"""What a decoder raises for a body that it can't read."""


class Verdict(enum.Enum):
    """What a listed answer proves of the order, and what to do about it."""

    REFUSED = "not placed"
    RETRY = "not placed; a new attempt may be"
    RESYNC = "not placed, for its time stamp; a new attempt may be, once the clock is set"
    LOOK_FIRST = "not placed, says the broker; look before a new attempt is made"
    EXISTS = "an order with this id is there; adopt it"


@dataclass(frozen=True, slots=True)
class Rule:
    """One listed answer: all of it must match. says: a pattern at the message's beginning."""

    status: int
    code: int | None
    verdict: Verdict
    says: str = ""

    def fits(self, status: int, code: int | None, message: str) -> bool:
        """Whether the answer is the listed one."""
        if self.status != status or self.code not in (None, code):
            return False
        return re.match(self.says, message) is not None


def find_rule(rules: Iterable[Rule], status: int, code: int | None, message: str) -> Rule | None:
    """The first rule that the answer fits."""
    return next((rule for rule in rules if rule.fits(status, code, message)), None)


def json_of(body: bytes) -> object:
    """The JSON value in the body, numbers with a point as Decimal; None where there is none."""
    try:
        return _decoder.decode(body)
    except UNREADABLE:
        return None


def decimal_of(value: object) -> Decimal | None:
    """The finite number that a text or a JSON number states exactly; None if it states none."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        number = Decimal(value)
    except ArithmeticError:
        return None
    return number if is_sane(number) else None


def side_of(word: str) -> Side | None:
    """Which way an order trades; None for a word that is neither."""
    return Side(word) if word in list(Side) else None


def is_sane(figure: Decimal) -> bool:
    """Whether it can be a price, a quantity or a sum: finite, of no absurd size or length."""
    if not figure.is_finite() or len(figure.as_tuple().digits) > _DIGITS:
        return False
    return figure == 0 or abs(figure.adjusted()) <= _MAGNITUDE


def legible(
    ask: Callable[_Asked, Coroutine[Any, Any, _Answer]],
) -> Callable[_Asked, Coroutine[Any, Any, _Answer]]:
    """Of a question: what breaks while its answer is read is no answer. Raises BrokerUnavailable.

    Readers refuse what they can think of. This is for the rest: no words of a broker may end the
    loop that asked.
    """

    @functools.wraps(ask)
    async def asked(*args: _Asked.args, **kwargs: _Asked.kwargs) -> _Answer:
        try:
            return await ask(*args, **kwargs)
        except OnefillError:
            raise
        except Exception as error:
            raise BrokerUnavailable(
                "the broker's answer can't be made sense of", cause=type(error).__name__
            ) from error

    return asked


def excerpt(reply: Reply, *secrets: str) -> str:
    """The reply in a line for people, without the secrets."""
    text = reply.body[:_READ_BYTES].decode("utf-8", "replace")
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return f"HTTP {reply.status}: {text[:_EXCERPT_CHARACTERS]}"
