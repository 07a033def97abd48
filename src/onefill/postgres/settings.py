"""Switches that all instances share, and who turned them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from onefill.postgres.connection import Held

TRADING_PAUSED = "trading_paused"
"""`true` while an operator has paused trading: entries stop, exits and stops go on (SIG-18)."""

_GET = "SELECT value FROM settings WHERE key = $1"
_SET = """
INSERT INTO settings (key, value, changed_by) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE
SET value = EXCLUDED.value, changed_by = EXCLUDED.changed_by, changed_at = clock_timestamp()"""
_AUDIT = "INSERT INTO audit_log (actor, address, action, details) VALUES ($1, $2, $3, $4)"


class PostgresSettings:
    """The table of settings, and the audit log."""

    def __init__(self, held: Held) -> None:
        self._held = held

    async def get(self, key: str) -> str | None:
        """The value, None when it was never set."""
        rows = await self._held.read(_GET, key)
        return rows[0]["value"] if rows else None

    async def set(self, key: str, value: str, changed_by: str) -> None:
        """Set it, for all instances at once; again changes nothing."""
        await self._held.write(_SET, key, value, changed_by)

    async def audit(
        self, actor: str, action: str, details: Mapping[str, str], address: str | None = None
    ) -> None:
        """Record who did what, from where."""
        await self._held.write(_AUDIT, actor, address, action, json.dumps(dict(details)))

    async def close(self) -> None:
        """Let the connection go."""
        await self._held.close()
