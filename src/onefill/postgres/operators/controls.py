"""What operators do, each with its line in the audit log, in the same commit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from onefill.core.book import Sizing, TimeBasis
from onefill.core.ids import ClientOrderId
from onefill.core.money import plain
from onefill.core.orders.adjusting import Adjustment, AdjustmentRefusal
from onefill.core.orders.ruling import Ruling, RulingRefusal
from onefill.keeping.adjusting import facts_of
from onefill.ports.authority import LossRow
from onefill.ports.figures import CapitalMoved, CapitalRefusal, Closing, ClosingRefusal
from onefill.ports.trading import Settled
from onefill.ports.views import (
    Actor,
    PortfolioSettings,
    SettingsRefusal,
    TradingSwitch,
    Unblocked,
)
from onefill.postgres.operators import rulings
from onefill.postgres.operators.actions import close_position, move_capital
from onefill.postgres.sessions import writing
from onefill.postgres.settings import EXITS_PAUSED, TRADING_PAUSED, is_on
from onefill.postgres.trading import losses
from onefill.postgres.trading.adjusting import adjust_positions
from onefill.postgres.trading.books import Teller

# A repeated pause keeps the first one's time and name: that is since when nothing trades.
_SWITCH = """
INSERT INTO settings (key, value, changed_by) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE
SET value = excluded.value, changed_by = excluded.changed_by, changed_at = clock_timestamp()
WHERE settings.value <> excluded.value
RETURNING key
"""
_SWITCH_OFF = """
UPDATE settings SET value = 'false', changed_by = $2, changed_at = clock_timestamp()
WHERE key = $1 AND value <> 'false' RETURNING key
"""
_SWITCHED = f"""
SELECT {is_on(TRADING_PAUSED)} AS paused, {is_on(EXITS_PAUSED)} AS exits_paused,
       changed_by, changed_at
FROM settings WHERE key IN ('{TRADING_PAUSED}', '{EXITS_PAUSED}')
ORDER BY changed_at DESC LIMIT 1
"""
_ACCEPT = """
INSERT INTO accepted_orders (broker, account, broker_order_id, accepted_by, note)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"""
_AUDIT = "INSERT INTO audit_log (actor, address, action, details) VALUES ($1, $2, $3, $4)"
# The row lock holds off decisions that would add exposure by the settings that are going.
_PRESENT = """
SELECT sizing, time_basis, initial_capital FROM portfolio_state WHERE portfolio = $1 FOR UPDATE
"""
_HAS_LIVE_ORDERS = """
SELECT EXISTS (SELECT FROM order_intents WHERE portfolio = $1 AND venue = 'live')
"""
_CONFIGURE = """
INSERT INTO portfolio_state
    (portfolio, sizing, time_basis, initial_capital, equity_high)
VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (portfolio) DO UPDATE
SET sizing = excluded.sizing, time_basis = excluded.time_basis,
    version = portfolio_state.version + 1, updated_at = clock_timestamp()
RETURNING sizing, time_basis, initial_capital
"""


class PostgresControls:
    """Implements `ports.views.Controls` on a pool of connections.

    initial_capital: what a new portfolio starts with where nobody says otherwise, in rupees.
    """

    def __init__(self, pool: Any, *, initial_capital: Decimal = Decimal(5_000_000)) -> None:
        self._pool = pool
        self._initial_capital = initial_capital

    async def note(self, by: Actor, action: str, instance: str) -> None:
        """Keep who took or gave control where. Raises StoreUnavailable."""
        async with writing(self._pool) as connection:
            details = json.dumps({"instance": instance})
            await connection.execute(_AUDIT, by.name, by.address, action, details)

    async def pause(self, by: Actor, note: str, *, exits: bool) -> TradingSwitch:
        """No entry is taken anywhere, from this commit on; exits go on, or rest as well."""
        async with writing(self._pool) as connection:
            entries = await connection.fetchval(_SWITCH, TRADING_PAUSED, "true", by.name)
            if exits:
                others = await connection.fetchval(_SWITCH, EXITS_PAUSED, "true", by.name)
            else:
                others = await connection.fetchval(_SWITCH_OFF, EXITS_PAUSED, by.name)
            changed = (entries or others) is not None
            details = {"note": note, "changed": changed, "exits": exits}
            return await _switched(connection, by, "trading.pause", details)

    async def resume(self, by: Actor, note: str) -> TradingSwitch:
        """Trade again."""
        async with writing(self._pool) as connection:
            others = await connection.fetchval(_SWITCH_OFF, EXITS_PAUSED, by.name)
            entries = await connection.fetchval(_SWITCH, TRADING_PAUSED, "false", by.name)
            details = {"note": note, "changed": (entries or others) is not None}
            return await _switched(connection, by, "trading.resume", details)

    async def end_safe(self, note: str, by: Actor) -> tuple[LossRow, ...]:
        """Trade again after lost commits, on a person's word."""
        async with writing(self._pool) as connection:
            await connection.execute(losses.DOUBT_AGAIN)
            ended = await connection.fetch(losses.END, by.name, note)
            details = {"note": note, "ended": [row["kind"] for row in ended]}
            await _audit(connection, by, "safe.end", details)
        return tuple(losses.loss_row(row) for row in ended)

    async def configure(
        self, portfolio: str, wanted: PortfolioSettings, by: Actor
    ) -> PortfolioSettings | SettingsRefusal:
        """Set up a portfolio, or change one that never had a live order."""
        async with writing(self._pool) as connection:
            present = _settings(await connection.fetchrow(_PRESENT, portfolio))
            is_live = await connection.fetchval(_HAS_LIVE_ORDERS, portfolio)
            result: PortfolioSettings | SettingsRefusal
            if (refusal := _refusal(present, wanted, is_live=is_live)) is not None:
                result = refusal
            elif present is not None and not _differs(present, wanted):
                result = present
            else:
                result = await self._configure(connection, portfolio, wanted)
            details = {
                "portfolio": portfolio,
                "before": _facts(present),
                "wanted": _facts(wanted),
                "refused": None if refusal is None else refusal.name,
            }
            await _audit(connection, by, "portfolio.configure", details)
        return result

    async def resolve(
        self, client_order_id: str, ruling: Ruling, by: Actor
    ) -> RulingRefusal | None:
        """Settle a quarantined order by a person's word: None, or why not."""
        async with writing(self._pool) as connection:
            refusal = await rulings.rule(connection, client_order_id, ruling, _teller(by))
            details = {
                "client_order_id": client_order_id,
                **{name: _text(value) for name, value in asdict(ruling).items()},
                "refused": None if refusal is None else refusal.name,
            }
            await _audit(connection, by, "order.resolve", details)
        return refusal

    async def place_again(
        self, client_order_id: str, note: str, by: Actor
    ) -> ClientOrderId | RulingRefusal:
        """The same order as a new intent, after a person ruled the old one out: its id."""
        async with writing(self._pool) as connection:
            result = await rulings.repeat(connection, client_order_id, _teller(by))
            refused = isinstance(result, RulingRefusal)
            details = {
                "client_order_id": client_order_id,
                "note": note,
                "placed": None if refused else str(result),
                "refused": result.name if isinstance(result, RulingRefusal) else None,
            }
            await _audit(connection, by, "order.place_again", details)
        return result

    async def acknowledge(self, client_order_id: str, by: Actor) -> RulingRefusal | None:
        """Say that a person knows of a quarantined order."""
        async with writing(self._pool) as connection:
            refusal = await rulings.acknowledge(connection, client_order_id, by.name)
            refused = None if refusal is None else refusal.name
            details = {"client_order_id": client_order_id, "refused": refused}
            await _audit(connection, by, "order.acknowledge", details)
        return refusal

    async def unblock(self, lane: str, note: str, by: Actor) -> Unblocked | None:
        """Let a lane take new exposure again. None: there is no such lane."""
        async with writing(self._pool) as connection:
            exists, was = await rulings.unblock(connection, lane)
            details = {"lane": lane, "was": was, "note": note, "exists": exists}
            await _audit(connection, by, "lane.unblock", details)
        return Unblocked(lane=lane, was=was) if exists else None

    async def accept_order(
        self, broker: str, account: str, broker_order_id: str, note: str, by: Actor
    ) -> None:
        """Say that a person has looked at an order with our mark that no intent explains."""
        async with writing(self._pool) as connection:
            await connection.execute(_ACCEPT, broker, account, broker_order_id, by.name, note)
            order = {"broker": broker, "account": account, "broker_order_id": broker_order_id}
            await _audit(connection, by, "reconciliation.accept", {**order, "note": note})

    async def adjust(self, wanted: Adjustment, by: Actor) -> Settled | AdjustmentRefusal:
        """Book what was traded by hand to the positions that it changed."""
        async with writing(self._pool) as connection:
            result = await adjust_positions(connection, wanted, _teller(by))
            await _audit(connection, by, "reconciliation.adjust", facts_of(wanted, result))
        return result

    async def record(self, action: str, details: Mapping[str, object], by: Actor) -> None:
        """Keep in the audit log what was asked for elsewhere."""
        async with writing(self._pool) as connection:
            await _audit(connection, by, action, details)

    async def move_capital(
        self, portfolio: str, amount: Decimal, note: str, reference: str | None, by: Actor
    ) -> CapitalMoved | CapitalRefusal:
        """Deposit (positive) or withdraw (negative); a reference books once."""
        async with writing(self._pool) as connection:
            result = await move_capital(
                connection, portfolio, amount, note=note, reference=reference, actor=by.name
            )
            details = {
                "portfolio": portfolio,
                "amount": plain(amount),
                "note": note,
                "reference": reference,
                "refused": result.name if isinstance(result, CapitalRefusal) else None,
            }
            await _audit(connection, by, "capital.move", details)
        return result

    async def close_position(
        self, position_id: str, note: str, by: Actor
    ) -> Closing | ClosingRefusal:
        """Have it closed, by an exit signal of the operator."""
        async with writing(self._pool) as connection:
            result = await close_position(connection, position_id, note, by.name)
            refused = result.name if isinstance(result, ClosingRefusal) else None
            details = {"position_id": position_id, "note": note, "refused": refused}
            await _audit(connection, by, "position.close", details)
        return result

    async def _configure(
        self, connection: Any, portfolio: str, wanted: PortfolioSettings
    ) -> PortfolioSettings:
        capital = wanted.initial_capital
        record = await connection.fetchrow(
            _CONFIGURE,
            portfolio,
            wanted.sizing,
            wanted.time_basis,
            self._initial_capital if capital is None else capital,
        )
        return _known(record)


def _refusal(
    present: PortfolioSettings | None, wanted: PortfolioSettings, *, is_live: bool
) -> SettingsRefusal | None:
    if is_live and (present is None or _differs(present, wanted)):
        return SettingsRefusal.LIVE_ORDERS
    if present is not None and wanted.initial_capital not in (None, present.initial_capital):
        return SettingsRefusal.CAPITAL_IS_A_LEDGER
    return None


def _differs(present: PortfolioSettings, wanted: PortfolioSettings) -> bool:
    return (present.sizing, present.time_basis) != (wanted.sizing, wanted.time_basis)


def _teller(by: Actor) -> Teller:
    """A person's settlement stands under their name in the timeline, and under no epoch."""
    return Teller(instance=by.name)


def _text(value: object) -> str | None:
    return None if value is None else plain(value) if isinstance(value, Decimal) else str(value)


def _known(record: Any) -> PortfolioSettings:
    return PortfolioSettings(
        sizing=Sizing(record["sizing"]),
        time_basis=TimeBasis(record["time_basis"]),
        initial_capital=record["initial_capital"],
    )


def _settings(record: Any) -> PortfolioSettings | None:
    return None if record is None else _known(record)


def _facts(settings: PortfolioSettings | None) -> Mapping[str, str | None] | None:
    if settings is None:
        return None
    capital = settings.initial_capital
    return {
        "sizing": settings.sizing.value,
        "time_basis": settings.time_basis.value,
        "initial_capital": None if capital is None else plain(capital),
    }


async def _switched(
    connection: Any, by: Actor, action: str, details: Mapping[str, object]
) -> TradingSwitch:
    """How the switch stands now, with the action's line in the audit log."""
    await _audit(connection, by, action, details)
    record = await connection.fetchrow(_SWITCHED)
    return TradingSwitch(
        paused=record["paused"],
        exits_paused=record["exits_paused"],
        by=record["changed_by"],
        at=record["changed_at"],
        changed=bool(details["changed"]),
    )


async def _audit(connection: Any, by: Actor, action: str, details: Mapping[str, object]) -> None:
    await connection.execute(_AUDIT, by.name, by.address, action, json.dumps(details))
