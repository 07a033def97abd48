"""A lane's marks as text: few, small, and always read and written with the lane's row."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from onefill.core.book import Mark
from onefill.core.signal import SignalKind


def marks_of(text: str) -> tuple[Mark, ...]:
    """The marks that `text_of` wrote."""
    return tuple(
        Mark(
            kind=SignalKind(kind),
            position=position,
            time=datetime.fromisoformat(time),
            order_id=order_id,
        )
        for kind, position, time, order_id in json.loads(text)
    )


def text_of(marks: Iterable[Mark]) -> str:
    """The marks as one line of JSON."""
    return json.dumps([[m.kind, m.position, m.time.isoformat(), m.order_id] for m in marks])
