"""The read side over Redis: what is held and was done, without portfolios and their statistics."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import TypeVar

from onefill.keeping.paging import cursor_at, id_cursor, page_of, read_json, time_cursor
from onefill.ports.figures import EquityCurve, StatisticsReport
from onefill.ports.lease import LEADER, LeaseStore
from onefill.ports.rows import (
    AuditRow,
    BlockedLane,
    InstanceRow,
    LeaderRow,
    MissedRow,
    OrderRow,
    OrderStory,
    PortfolioRow,
    PositionRow,
    PositionStory,
    ReconciliationRow,
    SignalRow,
    SignalStory,
    Standing,
)
from onefill.ports.views import OrderFilter, Page, PositionFilter, SignalFilter, Window
from onefill.redis import scripts
from onefill.redis.authority import RedisAuthority
from onefill.redis.control.instances import RedisInstances
from onefill.redis.documents import micros, moment_of, position_of, texts_of
from onefill.redis.keys import (
    AUDIT,
    BLOCKED,
    INTENTS,
    POSITIONS_EVER,
    RECONCILIATIONS,
    SIGNALS,
    key,
)
from onefill.redis.trading import worklists
from onefill.redis.views.showing import (
    instance_row,
    order_story,
    position_row,
    signal_row,
    steps_of,
)

CHUNK = 200

_T = TypeVar("_T")


class RedisViews:
    """Implements `ports.views.Views` where Redis is the authority.

    stale_after_s: an instance without a heartbeat for longer is shown as stale (CTL-4).
    """

    def __init__(
        self,
        authority: RedisAuthority,
        leases: LeaseStore,
        instances: RedisInstances,
        *,
        stale_after_s: float = 30.0,
    ) -> None:
        self._authority = authority
        self._leases = leases
        self._instances = instances
        self._stale_after_s = stale_after_s

    async def signals(self, wanted: SignalFilter, window: Window) -> Page[SignalRow]:
        """Signals by arrival, newest first."""
        before = id_cursor(window.cursor)
        stories = self._signals(None if before is None else before - 1)
        rows = (story.signal async for story in stories)
        found = await _first(rows, lambda row: _is_wanted(row, wanted), window.limit + 1)
        return page_of(found, window, lambda row: str(row.id))

    async def signal(self, signal_id: int) -> SignalStory | None:
        """One signal, with all that came of it."""
        async for story in self._signals(signal_id, count=1):
            if story.signal.id == signal_id:
                return await self._with_orders(story)
            break
        return None

    async def orders(self, wanted: OrderFilter, window: Window) -> Page[OrderRow]:
        """Order intents by creation, newest first."""
        at, name = time_cursor(window.cursor)

        def is_wanted(row: OrderRow) -> bool:
            is_older = at is None or (row.created_at, row.client_order_id) < (at, name)
            return is_older and all(
                (
                    wanted.state in (None, row.state),
                    wanted.lane in (None, row.lane),
                    wanted.symbol in (None, row.symbol),
                )
            )

        rows = (story.order async for story in self._orders(at))
        found = await _first(rows, is_wanted, window.limit + 1)
        return page_of(found, window, lambda row: cursor_at(row.created_at, row.client_order_id))

    async def order(self, client_order_id: str) -> OrderStory | None:
        """One order intent, with its attempts and fills."""
        stories = await self._stories([client_order_id])
        return stories[0] if stories else None

    async def positions(self, wanted: PositionFilter, window: Window) -> Page[PositionRow]:
        """Positions by opening, newest first, with their legs."""
        at, name = time_cursor(window.cursor)

        def is_wanted(row: PositionRow) -> bool:
            is_older = at is None or (row.opened_at, row.position_id) < (at, name)
            return is_older and all(
                (
                    wanted.closed or row.status != "closed",
                    wanted.portfolio in (None, row.portfolio),
                    wanted.instrument in (None, row.instrument),
                )
            )

        found = await _first(self._positions(at), is_wanted, window.limit + 1)
        return page_of(found, window, lambda row: cursor_at(row.opened_at, row.position_id))

    async def position(self, position_id: str) -> PositionStory | None:
        """One position, with its orders."""
        row = await self._position(position_id)
        if row is None:
            return None
        names = await self._authority.call("SMEMBERS", key("position", position_id, "intents"))
        orders = await self._stories([name.decode() for name in names])
        return PositionStory(position=row, orders=orders)

    async def portfolio(self, portfolio: str) -> PortfolioRow | None:
        """None: there are no portfolios in this topology."""
        return None

    async def statistics(self, portfolio: str) -> StatisticsReport | None:
        """None: there are no portfolios in this topology."""
        return None

    async def equity(self, portfolio: str) -> EquityCurve | None:
        """None: there are no portfolios in this topology."""
        return None

    async def instances(self) -> tuple[InstanceRow, ...]:
        """All known instances, by name."""
        now = await self._authority.now()
        heard = await self._instances.all()
        return tuple(instance_row(each, now, self._stale_after_s) for each in heard)

    async def leader(self) -> LeaderRow | None:
        """Who holds the lease; None when nobody ever did."""
        lease = await self._leases.read(LEADER)
        if lease is None:
            return None
        is_held = not lease.is_vacant and not lease.barred and lease.holder is not None
        name = lease.holder.instance if is_held and lease.holder is not None else None
        heard = await self._instances.all() if is_held else []
        urls = {each.instance: each.presence.url for each in heard}
        return LeaderRow(
            instance=name,
            epoch=lease.epoch,
            remaining_ms=int(lease.remaining_ms) if is_held else 0,
            url=urls.get(name) if name is not None else None,
        )

    async def reconciliation(self) -> ReconciliationRow | None:
        """The last report."""
        text = await self._authority.call("LINDEX", RECONCILIATIONS, 0)
        if text is None:
            return None
        facts = json.loads(text)
        at, report = datetime.fromisoformat(facts["at"]), read_json(facts["report"])
        return ReconciliationRow(**{**facts, "id": micros(at), "at": at, "report": report})

    async def audit(self, window: Window) -> Page[AuditRow]:
        """Actions of people, newest first."""
        last = id_cursor(window.cursor)
        length = int(await self._authority.call("LLEN", AUDIT))
        end = length if last is None else min(last - 1, length)
        start = max(0, end - window.limit - 1)
        texts = await self._authority.call("LRANGE", AUDIT, start, end - 1) if end > 0 else []
        rows = [_audit_row(start + turn + 1, text) for turn, text in enumerate(texts)]
        return page_of(rows[::-1], window, lambda row: str(row.id))

    async def missed(self, window: Window) -> Page[MissedRow]:
        """Nothing: the watch stands in the shared-database topology only."""
        return Page(items=(), next_cursor=None)

    async def standing(self) -> Standing:
        """Pause, doubts, blocked lanes."""
        seen = await self._authority.look()
        switch = seen.switch
        doubted, quarantined = await worklists.count_doubted(self._authority)
        return Standing(
            paused=seen.paused,
            exits_paused=seen.exits_paused,
            paused_by=switch.get("by") if seen.paused else None,
            paused_at=moment_of(switch["at"]) if seen.paused else None,
            in_doubt=doubted,
            quarantined=quarantined,
            blocked_lanes=await self._blocked(),
        )

    async def _blocked(self) -> tuple[BlockedLane, ...]:
        names = sorted(await self._authority.call("SMEMBERS", BLOCKED))
        seen = await self._authority.look(lanes=[name.decode() for name in names])
        return tuple(
            BlockedLane(lane=lane.lane, reason=lane.blocked, since=lane.blocked_at)
            for lane in seen.lanes.values()
            if lane.blocked is not None
        )

    async def _signals(self, newest: int | None, count: int = CHUNK) -> AsyncIterator[SignalStory]:
        """Signals without their orders, newest first, from that number down."""
        start = "+" if newest is None else f"{newest}-0"
        while newest is None or newest > 0:
            found = await self._authority.run(scripts.SIGNALS, [SIGNALS], start, count)
            for number, entry, state, steps, _ in found:
                texts = texts_of(entry)
                row = signal_row(int(number), texts, texts_of(state))
                yield SignalStory(
                    signal=row,
                    payload=read_json(texts["payload"]),
                    timeline=steps_of(row, steps),
                    limiter=None,
                    orders=(),
                    positions=(),
                )
            if len(found) < count:
                return
            newest = int(found[-1][0]) - 1
            start = f"{newest}-0"

    async def _with_orders(self, story: SignalStory) -> SignalStory:
        names = await self._authority.call("SMEMBERS", key("signal", story.signal.id, "intents"))
        orders = await self._stories([name.decode() for name in names])
        ids = sorted({one.order.position_id for one in orders if one.order.position_id})
        rows = [await self._position(each) for each in ids]
        return SignalStory(
            signal=story.signal,
            payload=story.payload,
            timeline=story.timeline,
            limiter=None,
            orders=orders,
            positions=tuple(row for row in rows if row is not None),
        )

    async def _orders(self, at: datetime | None) -> AsyncIterator[OrderStory]:
        async for names in self._by_time(INTENTS, at):
            for story in sorted(await self._stories(names), key=_newest_order):
                yield story

    async def _positions(self, at: datetime | None) -> AsyncIterator[PositionRow]:
        async for names in self._by_time(POSITIONS_EVER, at):
            for name in names:
                row = await self._position(name)
                if row is not None:
                    yield row

    async def _by_time(self, list_: str, at: datetime | None) -> AsyncIterator[list[str]]:
        """Names of a list, newest first, chunk by chunk."""
        newest, offset = "+inf" if at is None else str(micros(at)), 0
        while True:
            found = await self._authority.call(
                "ZREVRANGEBYSCORE", list_, newest, "-inf", "LIMIT", offset, CHUNK
            )
            yield [name.decode() for name in found]
            if len(found) < CHUNK:
                return
            offset += CHUNK

    async def _position(self, position_id: str) -> PositionRow | None:
        name = key("position", position_id)
        version, body = await self._authority.call("HMGET", name, "v", "body")
        return None if body is None else position_row(position_of(body), int(version))

    async def _stories(self, names: list[str]) -> tuple[OrderStory, ...]:
        """These orders, oldest first."""
        if not names:
            return ()
        found = await self._authority.run(scripts.STORIES, [], json.dumps(names))
        stories = [order_story(*each) for each in found if each[1]]
        return tuple(sorted(stories, key=_newest_order, reverse=True))


async def _first(rows: AsyncIterator[_T], is_wanted: Callable[[_T], bool], limit: int) -> list[_T]:
    found: list[_T] = []
    async for row in rows:
        if is_wanted(row):
            found.append(row)
        if len(found) >= limit:
            break
    return found


def _is_wanted(row: SignalRow, wanted: SignalFilter) -> bool:
    return all(
        (
            wanted.status in (None, row.status),
            wanted.kind in (None, row.kind),
            wanted.portfolio in (None, row.portfolio),
            wanted.instrument in (None, row.instrument),
            wanted.since is None or row.received_at >= wanted.since,
            wanted.until is None or row.received_at < wanted.until,
        )
    )


def _newest_order(story: OrderStory) -> tuple[float, str]:
    return (-story.order.created_at.timestamp(), story.order.client_order_id)


def _audit_row(number: int, text: bytes) -> AuditRow:
    facts = json.loads(text)
    return AuditRow(**{**facts, "id": number, "at": datetime.fromisoformat(facts["at"])})
