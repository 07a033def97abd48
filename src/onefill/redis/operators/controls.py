"""What operators do, on Redis: each action with its line in the audit log, in the same commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import TypeVar

from onefill.core.errors import ConfigurationError, StoreUnavailable
from onefill.core.ids import ClientOrderId, PositionId
from onefill.core.intake.parse import read
from onefill.core.intake.signal_time import Zones
from onefill.core.money import plain
from onefill.core.orders.adjusting import Adjustment, AdjustmentRefusal
from onefill.core.orders.operator_exit import exit_payload
from onefill.core.orders.ruling import Ruling, RulingRefusal
from onefill.core.signal import fingerprint
from onefill.keeping.adjusting import facts_of
from onefill.ports.authority import LossRow
from onefill.ports.figures import CapitalMoved, CapitalRefusal, Closing, ClosingRefusal
from onefill.ports.signal_log import Logged, NewSignal
from onefill.ports.trading import Settled
from onefill.ports.views import (
    Actor,
    PortfolioSettings,
    SettingsRefusal,
    TradingSwitch,
    Unblocked,
)
from onefill.redis.authority import Changes, RedisAuthority, Stale
from onefill.redis.documents import body_of, micros, moment_of, position_of
from onefill.redis.keys import AUDIT, PAUSE, key
from onefill.redis.operators import rulings
from onefill.redis.signal_log import RedisSignalLog
from onefill.redis.trading.adjusting import adjust_positions
from onefill.redis.trading.books import expect_switch

_ATTEMPTS_MAX = 12
_NO_ZONES = Zones.named({})
"""The payload's time has its zone."""

_T = TypeVar("_T")
Facts = Mapping[str, object]
Done = tuple[_T, Changes, Facts]
"""What an action answers, what it writes, and what is said of it in the audit log."""


class NoPortfolios(ConfigurationError):
    """Portfolios are sized, and their money is kept, in the shared-database topology only."""

    remedy = "Use topology = shared-database for the portfolio engine."


class RedisControls:
    """Implements `ports.views.Controls` where Redis is the authority."""

    def __init__(self, authority: RedisAuthority) -> None:
        self._authority = authority

    async def note(self, by: Actor, action: str, instance: str) -> None:
        """Keep who took or gave control where."""
        await self.record(action, {"instance": instance}, by)

    async def record(self, action: str, details: Mapping[str, object], by: Actor) -> None:
        """Keep in the audit log what was asked for elsewhere."""

        async def once() -> Done[None]:
            return None, Changes(), details

        await self._act(by, action, once)

    async def pause(self, by: Actor, note: str, *, exits: bool) -> TradingSwitch:
        """No entry is taken anywhere, from this commit on; exits go on, or rest as well."""
        return await self._switch(True, by, note, exits=exits)

    async def resume(self, by: Actor, note: str) -> TradingSwitch:
        """Trade again."""
        return await self._switch(False, by, note, exits=False)

    async def end_safe(self, note: str, by: Actor) -> tuple[LossRow, ...]:
        """Nothing to end: a Redis that lost commits is not traded on."""
        await self.record("safe.end", {"note": note, "ended": []}, by)
        return ()

    async def configure(
        self, portfolio: str, wanted: PortfolioSettings, by: Actor
    ) -> PortfolioSettings | SettingsRefusal:
        """Raises NoPortfolios."""
        raise NoPortfolios()

    async def move_capital(
        self, portfolio: str, amount: Decimal, note: str, reference: str | None, by: Actor
    ) -> CapitalMoved | CapitalRefusal:
        """Raises NoPortfolios."""
        raise NoPortfolios()

    async def resolve(
        self, client_order_id: str, ruling: Ruling, by: Actor
    ) -> RulingRefusal | None:
        """Settle a quarantined order by a person's word: None, or why not."""

        async def once() -> Done[RulingRefusal | None]:
            refusal, changes = await rulings.rule(
                self._authority, ClientOrderId(client_order_id), ruling, by.name
            )
            said = {name: _text(value) for name, value in asdict(ruling).items()}
            return refusal, changes, {"client_order_id": client_order_id, **said, **_no(refusal)}

        return await self._act(by, "order.resolve", once)

    async def place_again(
        self, client_order_id: str, note: str, by: Actor
    ) -> ClientOrderId | RulingRefusal:
        """The same order as a new intent, after a person ruled the old one out: its id."""

        async def once() -> Done[ClientOrderId | RulingRefusal]:
            result, changes = await rulings.repeat(
                self._authority, ClientOrderId(client_order_id), by.name
            )
            refusal = result if isinstance(result, RulingRefusal) else None
            placed = None if refusal is not None else str(result)
            facts = {"client_order_id": client_order_id, "note": note, "placed": placed}
            return result, changes, {**facts, **_no(refusal)}

        return await self._act(by, "order.place_again", once)

    async def acknowledge(self, client_order_id: str, by: Actor) -> RulingRefusal | None:
        """Say that a person knows of a quarantined order."""

        async def once() -> Done[RulingRefusal | None]:
            refusal, changes = await rulings.acknowledge(
                self._authority, ClientOrderId(client_order_id), by.name
            )
            return refusal, changes, {"client_order_id": client_order_id, **_no(refusal)}

        return await self._act(by, "order.acknowledge", once)

    async def unblock(self, lane: str, note: str, by: Actor) -> Unblocked | None:
        """Let a lane take new exposure again. None: there is no such lane."""

        async def once() -> Done[Unblocked | None]:
            unblocked, changes = await rulings.unblock(self._authority, lane)
            was = None if unblocked is None else unblocked.was
            facts = {"lane": lane, "was": was, "note": note, "exists": unblocked is not None}
            return unblocked, changes, facts

        return await self._act(by, "lane.unblock", once)

    async def accept_order(
        self, broker: str, account: str, broker_order_id: str, note: str, by: Actor
    ) -> None:
        """Say that a person has looked at an order with our mark that no intent explains."""

        async def once() -> Done[None]:
            changes = Changes()
            changes.write("SADD", key("accepted", f"{broker}/{account}"), broker_order_id)
            order = {"broker": broker, "account": account, "broker_order_id": broker_order_id}
            return None, changes, {**order, "note": note}

        await self._act(by, "reconciliation.accept", once)

    async def adjust(self, wanted: Adjustment, by: Actor) -> Settled | AdjustmentRefusal:
        """Book what was traded by hand to the positions that it changed."""

        async def once() -> Done[Settled | AdjustmentRefusal]:
            result, changes = await adjust_positions(self._authority, wanted, by.name)
            return result, changes, facts_of(wanted, result)

        return await self._act(by, "reconciliation.adjust", once)

    async def close_position(
        self, position_id: str, note: str, by: Actor
    ) -> Closing | ClosingRefusal:
        """Have it closed, by an exit signal of the operator."""
        result = await self._close(position_id, note, by)
        refused = result.name if isinstance(result, ClosingRefusal) else None
        await self.record(
            "position.close", {"position_id": position_id, "note": note, "refused": refused}, by
        )
        return result

    async def _close(self, position_id: str, note: str, by: Actor) -> Closing | ClosingRefusal:
        name = key("position", PositionId(position_id))
        body = await self._authority.call("HGET", name, "body")
        if body is None:
            return ClosingRefusal.NO_POSITION
        position = position_of(body)
        if not position.is_live:
            return ClosingRefusal.CLOSED
        payload = exit_payload(position, await self._authority.now(), note)
        signal = read(payload, zones=_NO_ZONES)
        new = NewSignal(
            fingerprint=fingerprint(signal),
            lane=signal.lane,
            engine=signal.engine,
            kind=signal.kind,
            portfolio=signal.portfolio,
            instrument=signal.instrument,
            signal_time=signal.time,
            payload=payload,
        )
        (logged,) = await RedisSignalLog(self._authority, by.name).append([new])
        assert isinstance(logged, Logged)
        return Closing(position_id=position_id, signal_id=logged.signal_id)

    async def _switch(self, paused: bool, by: Actor, note: str, *, exits: bool) -> TradingSwitch:
        """A repeated pause keeps the first one's time and name: since when nothing trades."""

        async def once() -> Done[TradingSwitch]:
            seen = await self._authority.look()
            now, before = seen.now, seen.switch
            is_changed = (seen.paused, seen.exits_paused) != (paused, exits)
            changes = Changes()
            expect_switch(changes, seen)
            if is_changed:
                stands = {"paused": int(paused), "exits_paused": int(exits)}
                changes.set_fields(PAUSE, {**stands, "by": by.name, "at": micros(now)})
                changes.write("HINCRBY", PAUSE, "v", 1)
            keeps = not is_changed and "by" in before
            switch = TradingSwitch(
                paused=paused,
                exits_paused=exits,
                by=before["by"] if keeps else by.name,
                at=moment_of(before["at"]) if keeps else now,
                changed=is_changed,
            )
            return switch, changes, {"note": note, "changed": is_changed, "exits": exits}

        return await self._act(by, "trading.pause" if paused else "trading.resume", once)

    async def _act(self, by: Actor, action: str, once: Callable[[], Awaitable[Done[_T]]]) -> _T:
        for _ in range(_ATTEMPTS_MAX):
            result, changes, facts = await once()
            line = {
                "at": await self._authority.now(),
                "actor": by.name,
                "address": by.address,
                "action": action,
                "details": dict(facts),
            }
            changes.write("RPUSH", AUDIT, body_of(line))
            try:
                await self._authority.commit(None, changes)
            except Stale:
                continue
            return result
        raise StoreUnavailable("Others write at the same place all the time.")


def _no(refusal: RulingRefusal | None) -> dict[str, object]:
    return {"refused": None if refusal is None else refusal.name}


def _text(value: object) -> str | None:
    return None if value is None else plain(value) if isinstance(value, Decimal) else str(value)
