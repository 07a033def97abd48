"""Stage two: NEW becomes SENDING, once. Only who wins this compare-and-set may send (ORD-3)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from onefill.core.ids import ClientOrderId
from onefill.core.intent import Verb
from onefill.core.orders.limits import LimitBook
from onefill.core.orders.rates import RateWindow
from onefill.core.position import PositionStatus
from onefill.core.refusal import Refusal
from onefill.core.signal import SignalStatus
from onefill.keeping.planning import PositionChange, SignalNews
from onefill.ports.lease import Holder
from onefill.ports.trading import Claim
from onefill.postgres.columns import Column, Columns
from onefill.postgres.connection import Held, Row, Transaction
from onefill.postgres.settings import EXITS_PAUSED, TRADING_PAUSED, is_on
from onefill.postgres.trading.books import (
    Teller,
    positions_by_id,
    tell_signals,
    write_positions,
)
from onefill.postgres.trading.limits import breaches, lock
from onefill.postgres.trading.rates import room_of

CLAIMED, TAKEN, EXPIRED, PAUSED, WAITING = "claimed", "taken", "expired", "paused", "waiting"
LIMITED, THROTTLED, SHUT = "limited", "throttled", "shut"

_log = logging.getLogger(__name__)

# Plain reads are enough: valid_until never changes, FILLED is final, and the compare-and-set
# judges the rest. `blocked`, `doubtful`: new exposure waits while its lane is blocked, or has
# another action's order in doubt (ORD-8); completing a started action, of the same source, does
# not, nor does what is sent again: two in doubt in one lane would wait for each other.
_LOOK = f"""
SELECT i.client_order_id, i.lane, i.state, i.attempt, i.adds_exposure, clock_timestamp() AS now,
       i.instrument, i.verb, i.position_id IS NOT NULL AND EXISTS (
           SELECT FROM portfolio_state p
           WHERE p.portfolio = i.portfolio AND p.time_basis = 'now') AS keeps_hours,
       i.valid_until < clock_timestamp() AS is_late,
       i.after IS NULL OR before.state IN ('FILLED', 'DONE') AS is_ready,
       i.adds_exposure AND l.blocked IS NOT NULL AS is_blocked,
       i.adds_exposure AND EXISTS (
           SELECT FROM order_intents d
           WHERE d.lane = i.lane AND d.source <> i.source
             AND d.state IN ('IN_DOUBT', 'QUARANTINED', 'SENDING')
             AND (d.state <> 'SENDING' OR d.send_by < clock_timestamp())) AS is_doubtful,
       CASE WHEN i.adds_exposure THEN {is_on(TRADING_PAUSED)}
            ELSE {is_on(EXITS_PAUSED)} END AS is_paused,
       EXISTS (SELECT FROM authority_losses WHERE ended_at IS NULL) AS is_safe
FROM order_intents i JOIN lanes l USING (lane)
LEFT JOIN order_intents before ON before.client_order_id = i.after
WHERE i.client_order_id = ANY($1)"""

_CLAIM: Columns[Claim] = Columns(
    (
        Column("client_order_id", "text", lambda c: c.client_order_id),
        Column("attempt", "integer", lambda c: c.attempt),
        Column("signed_at", "timestamptz", lambda c: c.signed_at),
        Column("expires_at", "timestamptz", lambda c: c.expires_at),
        Column("send_within_ms", "integer", lambda c: c.send_within_ms),
        Column("request_hash", "bytea", lambda c: c.request_hash),
        Column("witnessed", "text", lambda c: json.dumps(c.witnessed)),
        Column("resend", "boolean", lambda c: c.resend),
        Column("quantity", "numeric", lambda c: c.quantity),
        Column("order_type", "text", lambda c: c.order_type),
        Column("price", "numeric", lambda c: c.price),
        Column("chase_round", "integer", lambda c: None if c.chase is None else c.chase.round),
        Column("steps_max", "integer", lambda c: 0 if c.chase is None else c.chase.steps_max),
    )
)
_INSTANCE, _BOOT, _EPOCH = (f"${len(_CLAIM) + place}" for place in (1, 2, 3))
_BEFORE = "CASE WHEN asked.resend THEN '{SENDING,IN_DOUBT}'::text[] ELSE '{NEW}' END"
# The quantity too: of an order's remainder it shrinks until that order's end is confirmed.
_IS_AS_ASKED = f"""i.state = ANY({_BEFORE}) AND i.attempt = asked.attempt - 1
      AND i.quantity = asked.quantity"""
_TAKE = f"""
WITH asked AS (SELECT * FROM {_CLAIM.unnest()}),
locked AS (
    SELECT i.client_order_id FROM order_intents i JOIN asked USING (client_order_id)
    WHERE {_IS_AS_ASKED}
    ORDER BY 1 FOR NO KEY UPDATE OF i),
claimed AS (
    UPDATE order_intents i
    SET state = 'SENDING', attempt = asked.attempt,
        instance = {_INSTANCE}, boot = {_BOOT}, epoch = {_EPOCH},
        signed_at = asked.signed_at, expires_at = asked.expires_at, witnessed = asked.witnessed,
        send_by = clock_timestamp() + asked.send_within_ms * interval '1 millisecond',
        order_type = asked.order_type, price = asked.price, chase_round = asked.chase_round,
        chase_price = CASE WHEN asked.chase_round IS NOT NULL THEN asked.price END,
        chase_since = CASE WHEN asked.chase_round IS NOT NULL THEN clock_timestamp() END,
        chase_steps_max = asked.steps_max, updated_at = clock_timestamp()
    FROM asked JOIN locked USING (client_order_id)
    WHERE i.client_order_id = asked.client_order_id
      AND {_IS_AS_ASKED}
    RETURNING i.client_order_id, i.signal_id, i.attempt, i.signed_at, i.expires_at, i.send_by,
              asked.request_hash),
attempts AS (
    INSERT INTO order_attempts (client_order_id, attempt, instance, boot, epoch, claimed_at,
                                signed_at, expires_at, send_by, request_hash)
    SELECT client_order_id, attempt, {_INSTANCE}, {_BOOT}, {_EPOCH}, clock_timestamp(),
           signed_at, expires_at, send_by, request_hash FROM claimed)
SELECT client_order_id, signal_id FROM claimed"""

# Signed at that moment, too: an intent that was read before its claim may have been prepared again
# after it, and its first bytes are on their way.
_MINE = """
SELECT a.client_order_id FROM order_attempts a
JOIN unnest($1::text[], $2::integer[], $3::timestamptz[], $4::bytea[])
    AS asked (client_order_id, attempt, signed_at, request_hash)
    USING (client_order_id, attempt, signed_at, request_hash)
WHERE a.boot = $5"""

_LOCK_LANES = "SELECT FROM lanes WHERE lane = ANY($1) ORDER BY lane FOR NO KEY UPDATE"

_LOCK_INTENTS = """
WITH RECURSIVE dead (client_order_id) AS (
    SELECT unnest($1::text[])
    UNION SELECT i.client_order_id FROM order_intents i JOIN dead ON i.after = dead.client_order_id)
SELECT client_order_id, client_order_id IN (SELECT client_order_id FROM dead) AS is_dead
FROM order_intents
WHERE client_order_id IN (SELECT unnest($2::text[]) UNION SELECT client_order_id FROM dead)
ORDER BY 1 FOR NO KEY UPDATE"""

_EXPIRE = """
UPDATE order_intents SET state = 'EXPIRED', reason = $2, updated_at = clock_timestamp()
WHERE client_order_id = ANY($1) AND state = 'NEW'
RETURNING client_order_id, signal_id, position_id"""

_BLOCK = """
UPDATE lanes SET blocked = $2, blocked_at = clock_timestamp() WHERE lane = $1 AND blocked IS NULL"""

_DONE_SIGNALS = """
SELECT signal_id, bool_or(filled_quantity > 0) AS is_filled FROM order_intents
WHERE signal_id = ANY($1) GROUP BY signal_id
HAVING bool_and(state IN ('FILLED', 'CANCELLED', 'REJECTED', 'EXPIRED', 'NOT_PLACED', 'DONE'))"""

_UNTOUCHED_POSITIONS = """
SELECT position_id FROM portfolio_positions p
WHERE position_id = ANY($1) AND status = 'pending' AND NOT EXISTS (
    SELECT FROM order_intents i WHERE i.position_id = p.position_id AND (
        i.filled_quantity > 0
        OR i.state NOT IN ('FILLED', 'CANCELLED', 'REJECTED', 'EXPIRED', 'NOT_PLACED', 'DONE')))"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What no order passes. is_shut: whether an instrument's market is closed at that moment."""

    limits: LimitBook
    is_shut: Callable[[str, datetime], bool]


async def claim_group(
    transaction: Transaction, claims: Sequence[Claim], me: Holder, teller: Teller, door: Door
) -> Mapping[ClientOrderId, str]:
    """The verdict on each claim; those `claimed` are SENDING when the transaction commits."""
    limits = door.limits
    rates = {claim.account: claim.order_rates for claim in claims if claim.order_rates}
    await lock(transaction, (*limits.accounts, *rates))
    seen = {row["client_order_id"]: row for row in await _look(transaction, claims)}
    verdicts = {c.client_order_id: _verdict(c, seen.get(c.client_order_id), door) for c in claims}
    late = [seen[name] for name, verdict in verdicts.items() if verdict == EXPIRED]
    if late:
        verdicts |= await _end_orders(transaction, late, sorted(verdicts), teller, Refusal.TOO_OLD)
    for account, windows in rates.items():
        theirs = (claim.client_order_id for claim in claims if claim.account == account)
        due = [seen[name] for name in theirs if verdicts[name] == CLAIMED]
        verdicts |= await _throttle(transaction, account, windows, due)
    if limits.by_name:
        # What may be at the broker already is past this door: a resend adds nothing there.
        first = (c.client_order_id for c in claims if not c.resend)
        ready = [seen[name] for name in first if verdicts[name] == CLAIMED]
        verdicts |= await _limit(transaction, ready, sorted(verdicts), teller, limits)
    wanted = [claim for claim in claims if verdicts[claim.client_order_id] == CLAIMED]
    won = await _take(transaction, wanted, me, teller)
    lost = {claim.client_order_id for claim in wanted} - won
    verdicts.update((name, TAKEN) for name in lost)
    return verdicts


async def mine(held: Held, claims: Sequence[Claim], me: Holder) -> set[ClientOrderId]:
    """Which of these attempts this very process has committed, with these very bytes."""
    names = [claim.client_order_id for claim in claims]
    attempts = [claim.attempt for claim in claims]
    signed, hashes = [c.signed_at for c in claims], [c.request_hash for c in claims]
    rows = await held.read(_MINE, names, attempts, signed, hashes, me.boot)
    return {ClientOrderId(row["client_order_id"]) for row in rows}


async def _look(transaction: Transaction, claims: Sequence[Claim]) -> list[Row]:
    return await transaction.fetch(_LOOK, [claim.client_order_id for claim in claims])


def _verdict(claim: Claim, seen: Row | None, door: Door) -> str:
    before = ("SENDING", "IN_DOUBT") if claim.resend else ("NEW",)
    if seen is None or seen["state"] not in before or seen["attempt"] != claim.attempt - 1:
        return TAKEN
    if seen["is_late"]:
        # What may be at the broker already can't expire: it can only be found, or be a person's.
        return WAITING if claim.resend else EXPIRED
    if not claim.resend and _comes_to_a_closed_market(claim, seen, door):
        return SHUT
    if seen["is_paused"]:
        return PAUSED
    if seen["is_blocked"] or not seen["is_ready"]:
        return WAITING
    # SAFE: only what was looked up, where a repeat can't double it, may be sent.
    if not claim.resend and (seen["is_doubtful"] or seen["is_safe"]):
        return WAITING
    return CLAIMED


def _comes_to_a_closed_market(claim: Claim, seen: Row, door: Door) -> bool:
    """Whether it may arrive while its market is closed; a cancel can only be refused there."""
    if seen["verb"] == Verb.CANCEL or not seen["keeps_hours"]:
        return False
    latest = seen["now"] + timedelta(milliseconds=claim.send_within_ms)
    return any(door.is_shut(seen["instrument"], moment) for moment in (seen["now"], latest))


async def _take(
    transaction: Transaction, claims: Sequence[Claim], me: Holder, teller: Teller
) -> set[ClientOrderId]:
    if not claims:
        return set()
    arrays = _CLAIM.arrays(claims)
    rows = await transaction.fetch(_TAKE, *arrays, me.instance, me.boot, teller.epoch)
    signals = {row["signal_id"] for row in rows if row["signal_id"] is not None}
    news = [SignalNews(signal, SignalStatus.EXECUTING) for signal in sorted(signals)]
    await tell_signals(transaction, news, teller)
    return {ClientOrderId(row["client_order_id"]) for row in rows}


async def _throttle(
    transaction: Transaction, account: str, windows: Sequence[RateWindow], ready: Sequence[Row]
) -> dict[ClientOrderId, str]:
    """Hold back what the broker takes no more of now; it stays NEW, and is asked again (ORD-11)."""
    if not ready:
        return {}
    room = await room_of(transaction, account, windows)
    admitted = room.admitted([row["adds_exposure"] for row in ready])
    pairs = zip(ready, admitted, strict=True)
    return {ClientOrderId(row["client_order_id"]): THROTTLED for row, goes in pairs if not goes}


async def _limit(
    transaction: Transaction,
    ready: Sequence[Row],
    asked: Sequence[str],
    teller: Teller,
    limits: LimitBook,
) -> dict[ClientOrderId, str]:
    """Hold back what would break a hard limit: entries end, and their lanes block (ORD-15)."""
    found = await breaches(transaction, [row["client_order_id"] for row in ready], limits)
    verdicts: dict[ClientOrderId, str] = {}
    for row in ready:
        name, refusal = row["client_order_id"], found.get(row["client_order_id"])
        if refusal is None:
            continue
        _log.critical("%s: order %s breaks a limit: %s", row["lane"], name, refusal.code)
        if not row["adds_exposure"]:
            verdicts[ClientOrderId(name)] = WAITING
            continue
        verdicts |= await _end_orders(transaction, [row], asked, teller, refusal)
        await transaction.fetch(_BLOCK, row["lane"], refusal.code)
    return verdicts


async def _end_orders(
    transaction: Transaction,
    rows: Sequence[Row],
    asked: Sequence[str],
    teller: Teller,
    refusal: Refusal,
) -> dict[ClientOrderId, str]:
    """End these for this reason; the verdict on each."""
    ended = await _expire(transaction, rows, asked, teller, refusal)
    verdict = EXPIRED if refusal is Refusal.TOO_OLD else LIMITED
    names = [row["client_order_id"] for row in rows]
    return {ClientOrderId(name): verdict if name in ended else TAKEN for name in names}


async def _expire(
    transaction: Transaction,
    late: Sequence[Row],
    asked: Sequence[str],
    teller: Teller,
    refusal: Refusal,
) -> set[str]:
    """End what is too old, what waited for it, and what was to come of it; says which ended.

    Under the lanes' locks, since a position may end with its only order.
    """
    await transaction.fetch(_LOCK_LANES, sorted({row["lane"] for row in late}))
    names = [row["client_order_id"] for row in late]
    locked = await transaction.fetch(_LOCK_INTENTS, names, asked)
    dead = [row["client_order_id"] for row in locked if row["is_dead"]]
    ended = await transaction.fetch(_EXPIRE, dead, refusal.code)
    untouched = await transaction.fetch(_UNTOUCHED_POSITIONS, [row["position_id"] for row in ended])
    await _close_positions(transaction, [row["position_id"] for row in untouched], late[0], refusal)
    signals = await transaction.fetch(_DONE_SIGNALS, [row["signal_id"] for row in ended])
    await tell_signals(transaction, [_end(row, refusal) for row in signals], teller)
    return {row["client_order_id"] for row in ended}


async def _close_positions(
    transaction: Transaction, ids: Sequence[str], moment: Row, refusal: Refusal
) -> None:
    changes = [
        PositionChange(
            before,
            replace(
                before,
                status=PositionStatus.CLOSED,
                closed_at=moment["now"],
                reason=refusal.code,
            ),
        )
        for before in await positions_by_id(transaction, ids)
    ]
    await write_positions(transaction, changes)


def _end(row: Row, refusal: Refusal) -> SignalNews:
    if row["is_filled"]:
        return SignalNews(row["signal_id"], SignalStatus.EXECUTED)
    return SignalNews(row["signal_id"], refusal.status, refusal.code)
