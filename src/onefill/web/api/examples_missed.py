"""An example of what is missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from onefill.ports.rows import MissedRow
from onefill.ports.views import Page

_CLOSE = datetime(2026, 1, 5, 5, 0, tzinfo=UTC)
MISSED: Page[MissedRow] = Page(
    items=(
        MissedRow(
            id=3,
            kind="bar",
            subject="GOLD_MINI",
            says="1 bar has closed and nothing was heard of GOLD_MINI since 2026-01-05 04:00:02 "
            "UTC: look whether its alert still runs at the sender, and whether its webhooks arrive",
            since=_CLOSE,
            raised_at=_CLOSE + timedelta(seconds=70),
            cleared_at=None,
        ),
    ),
    next_cursor=None,
)
