"""The kill switch on Redis, each move with its line in the audit log, in the same commit."""

from __future__ import annotations

from onefill.core.errors import StoreUnavailable
from onefill.ports.views import Actor, TradingSwitch
from onefill.redis.authority import Changes, RedisAuthority, Stale
from onefill.redis.books import expect_switch
from onefill.redis.documents import body_of, micros, moment_of
from onefill.redis.keys import AUDIT, PAUSE

_ATTEMPTS_MAX = 12


class RedisSwitch:
    """Pauses and resumes trading for all instances (SIG-18)."""

    def __init__(self, authority: RedisAuthority) -> None:
        self._authority = authority

    async def pause(self, by: Actor, note: str = "") -> TradingSwitch:
        """No entry is taken anywhere, from this commit on; exits and stops go on."""
        return await self._switch(True, by, note)

    async def resume(self, by: Actor, note: str = "") -> TradingSwitch:
        """Trade again."""
        return await self._switch(False, by, note)

    async def _switch(self, paused: bool, by: Actor, note: str) -> TradingSwitch:
        for _ in range(_ATTEMPTS_MAX):
            try:
                return await self._switch_once(paused, by, note)
            except Stale:
                continue
        raise StoreUnavailable("Others move the switch all the time.")

    async def _switch_once(self, paused: bool, by: Actor, note: str) -> TradingSwitch:
        """A repeated pause keeps the first one's time and name: since when nothing trades."""
        seen = await self._authority.look()
        now, before, is_changed = seen.now, seen.switch, seen.paused != paused
        changes = Changes()
        expect_switch(changes, seen)
        if is_changed:
            fields = {"paused": int(paused), "by": by.name, "at": micros(now)}
            changes.set_fields(PAUSE, fields)
            changes.write("HINCRBY", PAUSE, "v", 1)
        line = {
            "at": now,
            "actor": by.name,
            "address": by.address,
            "action": "trading.pause" if paused else "trading.resume",
            "details": {"note": note, "changed": is_changed},
        }
        changes.write("RPUSH", AUDIT, body_of(line))
        await self._authority.commit(None, changes)
        keeps = not is_changed and "by" in before
        return TradingSwitch(
            paused=paused,
            by=before["by"] if keeps else by.name,
            at=moment_of(before["at"]) if keeps else now,
            changed=is_changed,
        )
