"""Signals, rules and stores for tests of the trade path, on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID, uuid5

import asyncpg

from onefill.core.book import Decision, Situation
from onefill.core.decide import decide as decide_signal
from onefill.core.defaults import INSTRUMENTS
from onefill.core.going_on import go_on
from onefill.core.ids import ClientOrderId, Epoch, Lane
from onefill.core.instrument import Rules
from onefill.core.intent import OrderIntent
from onefill.core.orders.adjusting import Adjustment, AdjustmentRefusal
from onefill.core.orders.limits import LimitBook
from onefill.core.orders.report import OrderReport, OrderStatus, Placed, Trade
from onefill.core.orders.ruling import Ruling, RulingRefusal
from onefill.core.orders.settlement import Told
from onefill.core.orders.slicing import MostOf, deciding_in_slices
from onefill.core.signal import Engine, LoggedSignal, Signal, SignalKind, fingerprint
from onefill.ports.clock import RealClock
from onefill.ports.handover import HandoverStore
from onefill.ports.lease import Holder, LeaseStore
from onefill.ports.signal_log import Logged, NewSignal, SignalLog
from onefill.ports.trading import Claim, Settled, TradingStore
from onefill.ports.views import Actor
from onefill.postgres.connecting import Connecting
from onefill.postgres.connection import Held, Surroundings
from onefill.postgres.control.handover import PostgresHandovers
from onefill.postgres.control.history import LeadershipHistory
from onefill.postgres.control.lease import PostgresLeaseStore
from onefill.postgres.operators.controls import PostgresControls
from onefill.postgres.recovery import PostgresRecoveryStore
from onefill.postgres.signal_log import DATABASE_SQL, PostgresSignalLog
from onefill.postgres.trading.store import PostgresTradingStore, Terms

RULES = Rules(deployment="tst", instruments=INSTRUMENTS)
CAPITAL = Decimal(5_000_000)
TTL_MS = 60_000
ANN = Actor(name="ann", address=None)


def boot(name: str) -> UUID:
    """A boot id that is the same for the same name."""
    return uuid5(UUID(int=0), name)


def holder(instance: str, start: int = 1) -> Holder:
    """An instance at its first, second, … start."""
    return Holder(instance=instance, boot=boot(f"{instance} {start}"))


class Authority(Protocol):
    """One store under test, through as many instances as a test wants."""

    def leases(self, me: Holder) -> LeaseStore:
        """The leases, as this instance sees them."""
        ...

    def handovers(self, me: Holder) -> HandoverStore:
        """Requests for control."""
        ...

    def signals(self, me: Holder) -> SignalLog:
        """The signal log."""
        ...

    def trading(self, me: Holder) -> TradingStore:
        """The trade path."""
        ...

    async def pause(self, paused: bool, *, exits: bool = False) -> None:
        """Pause trading, or exits as well, or resume."""
        ...

    async def adjust(self, wanted: Adjustment) -> Settled | AdjustmentRefusal:
        """Book what was traded by hand, by a person's word."""
        ...

    async def resolve(self, name: ClientOrderId, ruling: Ruling) -> RulingRefusal | None:
        """Settle what is quarantined, by a person's word."""
        ...

    async def broken_promises(self) -> Sequence[str]:
        """What does not hold of the stored book."""
        ...

    async def lose_signals(self) -> None:
        """Lose all signals behind everybody's back."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


class PostgresAuthority:
    """PostgreSQL behind all ports; also open to tests that look into its tables."""

    def __init__(self, url: str, call_timeout_ms: int = 5_000) -> None:
        self.url = url
        self._call_timeout_ms = call_timeout_ms
        self.limits = LimitBook()
        self.is_shut: Callable[[str, datetime], bool] = lambda _instrument, _moment: False
        self._looker: Held | None = None
        self._closers: list[Callable[[], object]] = []
        self.around = Surroundings(RealClock(), lambda: 0.0)

    def connecting(self, me: Holder) -> Connecting:
        """How this instance connects."""
        return Connecting(url=self.url, holder=me, call_timeout_ms=self._call_timeout_ms)

    def held(self, me: Holder, greeting: str = "") -> Held:
        """A connection of this instance."""
        held = Held(self.connecting(me), self.around, greeting)
        self._closers.append(held.close)
        return held

    def leases(self, me: Holder) -> PostgresLeaseStore:
        """The leases."""
        history = LeadershipHistory(self.held(me), self.around.clock)
        store = PostgresLeaseStore(self.held(me), self.held(me), history)
        self._closers.append(store.close)
        return store

    def handovers(self, me: Holder) -> PostgresHandovers:
        """Requests for control."""
        return PostgresHandovers(self.held(me))

    def signals(self, me: Holder) -> PostgresSignalLog:
        """The signal log."""
        return PostgresSignalLog(self.held(me, DATABASE_SQL), self.held(me), me.instance)

    def trading(self, me: Holder) -> PostgresTradingStore:
        """The trade path."""
        terms = Terms(
            read=read_payload,
            initial_capital=CAPITAL,
            limits=self.limits,
            is_shut=lambda *asked: self.is_shut(*asked),  # noqa: PLW0108 - it may be set later
        )
        store = PostgresTradingStore(self.connecting(me), self.around, terms)
        self._closers.append(store.close)
        return store

    async def pause(self, paused: bool, *, exits: bool = False) -> None:
        """Pause trading, or exits as well, or resume."""
        await self.rows(
            "INSERT INTO settings (key, value, changed_by) VALUES "
            "('trading_paused', $1, 'a test'), ('exits_paused', $2, 'a test') "
            "ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value",
            "true" if paused else "false",
            "true" if exits else "false",
        )

    async def adjust(self, wanted: Adjustment) -> Settled | AdjustmentRefusal:
        """Book what was traded by hand, by a person's word."""
        async with asyncpg.create_pool(self.url, min_size=1, max_size=1) as pool:
            return await PostgresControls(pool).adjust(wanted, ANN)

    async def resolve(self, name: ClientOrderId, ruling: Ruling) -> RulingRefusal | None:
        """Settle what is quarantined, by a person's word."""
        async with asyncpg.create_pool(self.url, min_size=1, max_size=1) as pool:
            return await PostgresControls(pool).resolve(name, ruling, ANN)

    async def broken_promises(self) -> Sequence[str]:
        """What does not hold of the stored book."""
        return await PostgresRecoveryStore(self.held(holder("auditor")), "a").broken_promises()

    async def lose_signals(self) -> None:
        """Lose all signals behind everybody's back."""
        await self.rows("TRUNCATE signal_log CASCADE")

    async def rows(self, sql: str, *arguments: object) -> list[dict[str, object]]:
        """What a table holds."""
        if self._looker is None:
            self._looker = self.held(holder("looker"))
        rows = await self._looker.write(sql, *arguments)
        return [dict(row) for row in rows]

    async def close(self) -> None:
        """Let go of everything."""
        for closer in reversed(self._closers):
            await closer()  # type: ignore[misc]


def buy(instrument: str, time: datetime, order_id: str, quantity: int = 1) -> Signal:
    """A signal of the direct policy; the order id tells equal ones apart."""
    return _direct(SignalKind.BUY, instrument, time, order_id, quantity=Decimal(quantity))


def close(instrument: str, time: datetime, order_id: str) -> Signal:
    """Close whatever the lane holds."""
    return _direct(SignalKind.CLOSE, instrument, time, order_id)


def base_entry(instrument: str, time: datetime, order_id: str) -> Signal:
    """An entry of the portfolio engine, that its rules take."""
    return Signal(
        engine=Engine.PORTFOLIO,
        kind=SignalKind.BASE_ENTRY,
        portfolio="main",
        instrument=instrument,
        time=time,
        position="Long_1",
        price=Decimal(52_000),
        stop=Decimal(51_650),
        atr=Decimal(350),
        er=Decimal("0.82"),
        supertrend=Decimal(51_650),
        lots=1,
        order_id=order_id,
    )


def _direct(
    kind: SignalKind,
    instrument: str,
    time: datetime,
    order_id: str,
    quantity: Decimal | None = None,
) -> Signal:
    return Signal(
        engine=Engine.DIRECT,
        kind=kind,
        portfolio="main",
        instrument=instrument,
        time=time,
        quantity=quantity,
        order_id=order_id,
    )


_NUMBERS = ("price", "stop", "atr", "er", "supertrend", "quantity")


def payload_of(signal: Signal) -> str:
    """A payload that `read_payload` understands."""
    facts: dict[str, object] = {
        "engine": signal.engine,
        "kind": signal.kind,
        "portfolio": signal.portfolio,
        "instrument": signal.instrument,
        "time": signal.time.isoformat(),
        "position": signal.position,
        "order_id": signal.order_id,
        "lots": signal.lots,
    }
    for name in _NUMBERS:
        value = getattr(signal, name)
        facts[name] = None if value is None else str(value)
    return json.dumps(facts)


def read_payload(payload: str) -> Signal:
    """A logged payload back as a signal."""
    facts = json.loads(payload)
    for name in _NUMBERS:
        facts[name] = None if facts[name] is None else Decimal(facts[name])
    facts["engine"] = Engine(facts["engine"])
    facts["kind"] = SignalKind(facts["kind"])
    facts["time"] = datetime.fromisoformat(facts["time"])
    return Signal(**facts)


def new_signal(signal: Signal, payload: str | None = None) -> NewSignal:
    """A signal as intake would log it."""
    return NewSignal(
        fingerprint=fingerprint(signal),
        lane=signal.lane,
        engine=signal.engine,
        kind=signal.kind,
        portfolio=signal.portfolio,
        instrument=signal.instrument,
        signal_time=signal.time,
        payload=payload_of(signal) if payload is None else payload,
    )


async def log_all(log: SignalLog, *signals: Signal) -> list[int]:
    """Log them in one group; their ids in that order."""
    logged = await log.append([new_signal(signal) for signal in signals])
    assert all(isinstance(item, Logged) for item in logged)
    return [item.signal_id for item in logged if isinstance(item, Logged)]


def decide(logged: LoggedSignal, situation: Situation) -> Decision:
    """The product's own rules."""
    return decide_signal(logged, situation, RULES)


def exits(situation: Situation) -> Decision | None:
    """The product's own rules."""
    return go_on(situation, RULES)


async def lead(authority: Authority, me: Holder) -> Epoch:
    """Become the leader of an empty store."""
    epoch = await authority.leases(me).acquire("leader", Epoch(0), me, TTL_MS)
    assert epoch is not None
    return epoch


def claim_of(intent: OrderIntent, now: datetime, attempt: int = 1) -> Claim:
    """A claim on an intent's next attempt."""
    return Claim(
        client_order_id=intent.client_order_id,
        attempt=attempt,
        signed_at=now,
        expires_at=None,
        send_within_ms=5_000,
        request_hash=b"\0" * 32,
        quantity=intent.order.quantity,
        order_type=intent.order.order_type,
        price=intent.order.price,
        chase=intent.chase,
    )


def filled(intent: OrderIntent, price: int = 100, quantity: Decimal | None = None) -> Told:
    """The venue filled it, wholly or in part."""
    whole = intent.order.quantity
    done = whole if quantity is None else quantity
    report = OrderReport(
        broker_order_id=f"b-{intent.client_order_id}",
        status=OrderStatus.FILLED if done == whole else OrderStatus.PARTIALLY_FILLED,
        filled_quantity=done,
        filled_value=done * price,
        trades=(
            Trade(
                trade_id=f"t-{intent.client_order_id}-{done}", quantity=done, price=Decimal(price)
            ),
        ),
    )
    return Told(client_order_id=intent.client_order_id, attempt=1, word=Placed(report=report))


async def decide_lanes(
    store: TradingStore, epoch: Epoch, lanes: Sequence[Lane], most_of: MostOf = lambda _: None
) -> tuple[OrderIntent, ...]:
    """Decide with the product's rules; the intents, as their exchanges take them."""
    return (await store.decide(epoch, lanes, deciding_in_slices(decide, most_of), exits)).intents
