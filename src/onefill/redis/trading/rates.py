"""Rate limits across instances (ORD-11): the attempts themselves are the count.

Each attempt stands in a sorted set of its account, by the last moment at which it can reach the
broker: its answer's, or until one came, since the last at which it could be written and travel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from onefill.core.orders.rates import CLOSED, RateWindow, Room, Urgency
from onefill.keeping.evidence import Word
from onefill.ports.trading import Claim
from onefill.redis import scripts
from onefill.redis.authority import Changes, RedisAuthority
from onefill.redis.documents import Snapshot, micros
from onefill.redis.keys import key

_TRAVEL = timedelta(seconds=10)
"""How long what was written at its very last moment may take to arrive."""
_KEPT = timedelta(days=1)
_GRANT_PARTS = 20
"""A grant is this part of its window, in weight and in time: so much is lost with its holder."""
NOT_SENT = "not_sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What may be claimed for an account, and which of its versions says so."""

    room: Room
    version: str


class RedisRates:
    """ports.rates.RateStore on Redis."""

    def __init__(self, authority: RedisAuthority) -> None:
        self._authority = authority

    async def room(self, account: str, windows: Sequence[RateWindow]) -> Room:
        """How many orders could be claimed now."""
        return (await account_of(self._authority, account, windows)).room

    async def grant(
        self, account: str, windows: Sequence[RateWindow], weight: int, urgency: Urgency
    ) -> int:
        """Weight to ask with at once, or 0."""
        lengths = [window.window_ms for window in windows]
        largest = min(window.most // _GRANT_PARTS for window in windows)
        shares = [part for w in windows for part in (w.window_ms, w.for_questions(urgency))]
        facts = (weight, largest, min(lengths) // _GRANT_PARTS, max(lengths))
        keys = [key("grants", account), key("hold", account)]
        return int(await self._authority.run(scripts.GRANT, keys, *facts, *shares))

    async def hold(self, account: str, hold_ms: int, why: str) -> None:
        """Nobody orders or asks for so long."""
        name = key("hold", account)
        left_ms = int(await self._authority.call("PTTL", name))
        if left_ms < hold_ms:
            changes = Changes()
            changes.write("SET", name, why, "PX", hold_ms)
            await self._authority.commit(None, changes)


async def account_of(
    authority: RedisAuthority, account: str, windows: Sequence[RateWindow]
) -> Account:
    """What may be claimed now."""
    version = await authority.call("HGET", key("account", account), "v")
    known = "0" if version is None else version.decode()
    if await authority.call("EXISTS", key("hold", account)):
        return Account(room=CLOSED, version=known)
    now = await authority.now()
    used = []
    for window in windows:
        since = micros(now - timedelta(milliseconds=window.window_ms))
        count = await authority.call("ZCOUNT", key("rates", account), since, "+inf")
        used.append((window, int(count)))
    return Account(room=Room.left(used), version=known)


def count_claims(
    changes: Changes, claims: Sequence[Claim], accounts: Mapping[str, Account], seen: Snapshot
) -> None:
    """These attempts count from now on, where nobody else counted meanwhile."""
    for name in sorted({claim.account for claim in claims} & set(accounts)):
        mine = [claim for claim in claims if claim.account == name]
        changes.versions[key("account", name)] = accounts[name].version
        changes.write("HINCRBY", key("account", name), "v", 1)
        rates = key("rates", name)
        changes.write("ZREMRANGEBYSCORE", rates, "-inf", micros(seen.now - _KEPT))
        for claim in mine:
            latest = seen.now + timedelta(milliseconds=claim.send_within_ms) + _TRAVEL
            place = f"{claim.client_order_id}:{claim.attempt}"
            changes.write("ZADD", rates, micros(latest), place)


def count_word(changes: Changes, account: str, word: Word, now: datetime) -> None:
    """What was answered has arrived by now; what was not sent never counted."""
    rates, place = key("rates", account), f"{word.client_order_id}:{word.attempt}"
    if word.outcome == NOT_SENT:
        changes.write("ZREM", rates, place)
    else:
        changes.write("ZADD", rates, "XX", "LT", micros(now), place)
