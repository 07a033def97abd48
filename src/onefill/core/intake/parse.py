"""Bytes → a valid signal, or all that is wrong with them. Source: SIG-4, SIG-5, SIG-6, SIG-23."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from onefill.core.errors import Bug
from onefill.core.intake.bodies import SECRET, signal_of
from onefill.core.intake.problem import Problem
from onefill.core.intake.signal_time import Zones
from onefill.core.intake.strict_json import dump_object, load_object
from onefill.core.signal import Signal


@dataclass(frozen=True, slots=True)
class Valid:
    """payload: the body's text without the secret, fit for the log and for `read`."""

    signal: Signal
    payload: str
    secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Invalid:
    """All that is wrong. is_readable: whether it was JSON at all, so that a secret could show."""

    problems: tuple[Problem, ...]
    secret: str | None = field(default=None, repr=False)
    is_readable: bool = True


def parse(body: bytes, *, now: datetime, zones: Zones) -> Valid | Invalid:
    """Read and judge a webhook's body. now: the receiver's wall clock, for SIG-5."""
    loaded = load_object(body)
    if isinstance(loaded, Problem):
        return Invalid((loaded,), is_readable=False)
    text, values = loaded
    has_secret = SECRET in values
    secret = values.pop(SECRET, None)
    signal = signal_of(values, now, zones)
    if not isinstance(signal, Signal):
        return Invalid(signal, secret if isinstance(secret, str) else None)
    if secret is not None and not isinstance(secret, str):
        return Invalid((Problem(SECRET, "must be a text in quotes", "another kind"),))
    return Valid(signal, dump_object(values) if has_secret else text, secret)


def read(payload: str, *, zones: Zones) -> Signal:
    """The signal of a logged payload. Its time is trusted. Raises Bug for what `parse` refuses."""
    loaded = load_object(payload.encode())
    if isinstance(loaded, Problem):
        raise Bug("a logged payload is not JSON", problem=loaded)
    signal = signal_of(loaded[1], None, zones)
    if not isinstance(signal, Signal):
        raise Bug("a logged payload is not a signal", problems=signal)
    return signal
