"""Identities. They are derived from what they name, never drawn, so that a repeat finds itself."""

from __future__ import annotations

import hashlib
from typing import NewType

from onefill.core.errors import invariant

Lane = NewType("Lane", str)
"""`portfolio/instrument`: all work of one portfolio and instrument, done in order."""
SignalId = NewType("SignalId", int)
Epoch = NewType("Epoch", int)
"""The number of a lease's holder; the fencing token. 0 means that no epoch was ever held."""
ClientOrderId = NewType("ClientOrderId", str)
PositionId = NewType("PositionId", str)

PREFIX = "of"
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_HASH_CHARACTERS = 15
_DEPLOYMENT_CHARACTERS = 3


def lane_of(portfolio: str, instrument: str) -> Lane:
    """The lane in which everything of this portfolio and instrument is decided, in order."""
    return Lane(f"{portfolio}/{instrument}")


def client_order_id(deployment: str, source: str, leg: str, action: str, n: int) -> ClientOrderId:
    """The id that a broker sees: 20 lowercase letters and digits, the same for the same action.

    deployment: three lowercase letters or digits that set this installation apart at the broker.
    source: what caused the action (a fingerprint in hex, or a position's id). Source: ORD-1.
    """
    invariant(is_deployment(deployment), "a deployment is three letters or digits", got=deployment)
    invariant(n >= 1, "repetitions of an action are counted from 1", n=n)
    return ClientOrderId(PREFIX + deployment + _digest(source, leg, action, str(n)))


def position_id(source: str, slot: str) -> PositionId:
    """The id of the position that this source opens in this slot."""
    return PositionId("p" + _digest("position", source, slot))


def is_deployment(text: str) -> bool:
    """Whether the text can stand for a deployment inside a client order id."""
    return len(text) == _DEPLOYMENT_CHARACTERS and all(letter in _ALPHABET for letter in text)


def deployment_of(client_id: ClientOrderId) -> str:
    """The three letters or digits that mark the installation which made this id."""
    return client_id[len(PREFIX) : len(PREFIX) + _DEPLOYMENT_CHARACTERS]


def is_ours(client_id: str, deployment: str) -> bool:
    """Whether an order seen at a broker carries the mark of this deployment."""
    return client_id.startswith(PREFIX + deployment) and len(client_id) == 20


def _digest(*parts: str) -> str:
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    number = int.from_bytes(hashlib.sha256(joined.encode()).digest(), "big")
    return "".join(_ALPHABET[number // 36**place % 36] for place in range(_HASH_CHARACTERS))
