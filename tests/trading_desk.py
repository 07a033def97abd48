"""One instance at work on the store under test, for tests of the trade path."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from onefill.core.book import WAIT, Decision, Situation
from onefill.core.ids import Epoch, Lane
from onefill.core.intent import OrderIntent
from onefill.core.signal import LoggedSignal, Signal, SignalStatus
from onefill.ports.trading import TradingStore
from trading_support import Authority, buy, claim_of, decide_lanes, exits, holder, log_all


class Desk:
    """One instance that leads, with its stores."""

    def __init__(self, authority: Authority, store: TradingStore, epoch: Epoch) -> None:
        self.authority = authority
        self.store = store
        self.epoch = epoch
        self.log = authority.signals(holder("a"))

    async def signal(self, instrument: str, order_id: str, age_s: float = 0) -> Signal:
        """A buy of one, of that age."""
        moment = await self.store.now() - timedelta(seconds=age_s)
        return buy(instrument, moment, order_id)

    async def order(self, instrument: str = "SIM001", order_id: str = "o") -> OrderIntent:
        """A decided order."""
        signal = await self.signal(instrument, order_id)
        await log_all(self.log, signal)
        (intent,) = await decide_lanes(self.store, self.epoch, [signal.lane])
        return intent

    async def claim(self, *intents: OrderIntent, attempt: int = 1) -> list[str]:
        """Claim them; the verdicts in that order."""
        now = await self.store.now()
        claims = [claim_of(intent, now, attempt) for intent in intents]
        verdicts = await self.store.claim(self.epoch, claims)
        return [verdicts[intent.client_order_id] for intent in intents]

    async def sent(self, instrument: str = "SIM001", order_id: str = "o") -> OrderIntent:
        """An order that is claimed."""
        intent = await self.order(instrument, order_id)
        assert await self.claim(intent) == ["claimed"]
        return intent

    async def statuses(self, ids: Sequence[int]) -> list[tuple[SignalStatus, str | None]]:
        """How far these signals have come."""
        progress = await self.log.progress(ids)
        return [(progress[name].status, progress[name].reason) for name in ids]


async def situation_of(desk: Desk, lane: Lane) -> Situation:
    """What the next decision in that lane sees."""
    seen: list[Situation] = []

    def look(logged: LoggedSignal, situation: Situation) -> Decision:
        seen.append(situation)
        return WAIT

    signal = await desk.signal(lane.partition("/")[2], f"look {await desk.store.now()}")
    await log_all(desk.log, signal)
    await desk.store.decide(desk.epoch, [lane], look, exits)
    return seen[0]
