"""How much an account may ask and order in a time, as brokers count it; and what it really did.

Windows slide: no window of that length, wherever it begins, may hold more. That is stricter than
the calendar's minutes, so who keeps to it keeps to both. What was turned away counts as well.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from onefill.venue.dialect import CANCEL, MODIFY, PLACE, Dialect, Route
from onefill.venue.instruments import BINANCE, OPENALGO
from onefill.venue.wire import Reply, Request, answer, integer_of

_BAN_S = 120
_STRIKES_MAX = 10
"""So many requests while told to wait, and the account is banned."""
_WEIGHTS = {
    "/fapi/v1/openOrders": 40,
    "/fapi/v1/openAlgoOrders": 40,
    "/fapi/v1/positionSide/dual": 30,
    "/fapi/v1/allOrders": 5,
    "/fapi/v1/allAlgoOrders": 5,
    "/fapi/v1/userTrades": 5,
    "/fapi/v2/positionRisk": 5,
    "/fapi/v3/positionRisk": 5,
    "/fapi/v2/account": 5,
    "/fapi/v3/account": 5,
    "/fapi/v2/balance": 5,
    "/fapi/v3/balance": 5,
}
"""Binance's weights of what is not 1."""
_INTERVALS = {1: ("SECOND", "S"), 60: ("MINUTE", "M"), 3_600: ("HOUR", "H"), 86_400: ("DAY", "D")}


class Counted(enum.StrEnum):
    """What is counted."""

    ORDERS = "orders"
    WEIGHT = "weight"


@dataclass(frozen=True, slots=True)
class Rate:
    """The most of one kind that an account may have in a time."""

    dialect: str
    counted: Counted
    seconds: int
    most: int

    @property
    def interval(self) -> tuple[str, str, int]:
        """As Binance writes it: the unit's name, its letter, and how many."""
        unit = max(each for each in _INTERVALS if self.seconds % each == 0)
        return (*_INTERVALS[unit], self.seconds // unit)


REAL_RATES = (
    Rate(BINANCE, Counted.WEIGHT, 60, 2_400),
    Rate(BINANCE, Counted.ORDERS, 60, 1_200),
    Rate(BINANCE, Counted.ORDERS, 10, 300),
    Rate(OPENALGO, Counted.WEIGHT, 1, 10),
    Rate(OPENALGO, Counted.ORDERS, 1, 10),
)
"""What the real brokers allow an account."""


@dataclass(slots=True)
class _Tally:
    """What one account did under one rate."""

    arrivals: deque[tuple[int, int]] = field(default_factory=deque)
    present: int = 0
    largest: int = 0

    def add(self, rate: Rate, amount: int, now_us: int) -> bool:
        """Count an arrival; whether it is within the rate."""
        while self.arrivals and self.arrivals[0][0] <= now_us - rate.seconds * 1_000_000:
            self.present -= self.arrivals.popleft()[1]
        if amount:
            self.arrivals.append((now_us, amount))
            self.present += amount
            self.largest = max(self.largest, self.present)
        return self.present <= rate.most


@dataclass(slots=True)
class _Standing:
    """How an account stands: until when it was told to wait, or is banned, and how it behaved."""

    wait_until_us: int = 0
    banned_until_us: int = 0
    strikes: int = 0
    refused: int = 0
    bans: int = 0


class Turnstile:
    """Lets requests through while their account keeps to its rates; without rates, all."""

    def __init__(self, rates: Iterable[Rate] = ()) -> None:
        self.rates = tuple(rates)
        self.ban_s = _BAN_S
        self._tallies: dict[tuple[Rate, str], _Tally] = {}
        self._standings: dict[tuple[str, str], _Standing] = {}

    def set(self, rates: Iterable[Rate], ban_s: int = _BAN_S) -> None:
        """Other rates from now on, and everything counted anew."""
        self.rates, self.ban_s = tuple(rates), ban_s
        self._tallies.clear()
        self._standings.clear()

    def refusal(self, request: Request, dialect: Dialect, route: Route) -> Reply | None:
        """Why the request is turned away; None lets it through. Counts it in any case."""
        if not self.rates:
            return None
        facts = dialect.facts(request)
        name, account, now_us = facts["dialect"], facts["account"], request.received_at
        standing = self._standings.setdefault((name, account), _Standing())
        broken = None
        for rate in self._of(name):
            tally = self._tallies.setdefault((rate, account), _Tally())
            if not tally.add(rate, _amount(rate, route, request), now_us):
                broken = broken or rate
        return self._judge(standing, broken, name, now_us)

    def _of(self, dialect: str) -> list[Rate]:
        return [rate for rate in self.rates if rate.dialect == dialect]

    def _judge(
        self, standing: _Standing, broken: Rate | None, dialect: str, now_us: int
    ) -> Reply | None:
        """Too much is told to wait; who does not is banned for a time."""
        is_impatient = now_us < standing.wait_until_us
        standing.strikes = standing.strikes + 1 if is_impatient else 0
        if standing.strikes >= _STRIKES_MAX:
            standing.strikes = standing.wait_until_us = 0
            standing.banned_until_us = now_us + self.ban_s * 1_000_000
            standing.bans += 1
        is_banned = now_us < standing.banned_until_us
        standing.refused += int(is_banned or broken is not None)
        if is_banned:
            return _banned(dialect, standing.banned_until_us, now_us)
        if broken is None:
            return None
        standing.wait_until_us = now_us + broken.seconds * 1_000_000
        return _told_to_wait(broken)

    def headers(self, dialect: str, account: str) -> tuple[tuple[bytes, bytes], ...]:
        """What Binance tells of an account's use with each answer."""
        if dialect != BINANCE:
            return ()
        found = []
        for rate in self._of(dialect):
            tally = self._tallies.get((rate, account))
            _, letter, number = rate.interval
            word = "used-weight" if rate.counted is Counted.WEIGHT else "order-count"
            name = f"x-mbx-{word}-{number}{letter.lower()}"
            found.append((name.encode(), str(tally.present if tally else 0).encode()))
        return tuple(found)

    def declared(self, dialect: str) -> list[dict[str, object]]:
        """The rates as an exchangeInfo lists them."""
        kinds = {Counted.WEIGHT: "REQUEST_WEIGHT", Counted.ORDERS: "ORDERS"}
        return [
            {
                "rateLimitType": kinds[rate.counted],
                "interval": rate.interval[0],
                "intervalNum": rate.interval[2],
                "limit": rate.most,
            }
            for rate in self._of(dialect)
        ]

    def report(self) -> list[dict[str, object]]:
        """For judges: the largest number of each account in any window, and what it met."""
        rows: list[dict[str, object]] = []
        for (rate, account), tally in self._tallies.items():
            standing = self._standings[rate.dialect, account]
            rows.append(
                {
                    "dialect": rate.dialect,
                    "account": account,
                    "counted": rate.counted.value,
                    "seconds": rate.seconds,
                    "most": rate.most,
                    "largest": tally.largest,
                    "refused": standing.refused,
                    "bans": standing.bans,
                }
            )
        return rows


def read_rates(wish: object) -> tuple[Rate, ...] | str:
    """The rates that a request asks for (`real`, or a list of them), or what is wrong with it."""
    if wish == "real":
        return REAL_RATES
    if not isinstance(wish, list):
        return "rates is `real`, or a list of {dialect, counted, seconds, most}"
    rates = [_read_rate(row) for row in wish]
    found = tuple(rate for rate in rates if rate is not None)
    if len(found) < len(rates):
        return "a rate has a dialect, counted (orders, weight), seconds and most, both above 0"
    return found


def _read_rate(row: object) -> Rate | None:
    if not isinstance(row, Mapping):
        return None
    seconds, most = integer_of(row.get("seconds")), integer_of(row.get("most"))
    dialect, counted = row.get("dialect"), row.get("counted")
    if dialect not in (BINANCE, OPENALGO) or counted not in list(Counted):
        return None
    if seconds is None or most is None or seconds <= 0 or most <= 0:
        return None
    return Rate(str(dialect), Counted(str(counted)), seconds, most)


def _amount(rate: Rate, route: Route, request: Request) -> int:
    """What one request counts. At Binance a new or changed order has no weight."""
    changes = (PLACE, MODIFY) if rate.dialect == BINANCE else (PLACE, MODIFY, CANCEL)
    is_order = route.kind in changes
    if rate.counted is Counted.ORDERS:
        return int(is_order)
    return 0 if is_order else _WEIGHTS.get(request.path, 1)


def _told_to_wait(rate: Rate) -> Reply:
    retry = ((b"retry-after", str(rate.seconds).encode()),)
    if rate.dialect == OPENALGO:
        reply = answer({"status": "error", "message": "Rate limit exceeded"}, 429)
    elif rate.counted is Counted.ORDERS:
        message = f"Too many new orders; current limit is {rate.most} orders per {rate.seconds} s."
        reply = answer({"code": -1015, "msg": message}, 429)
    else:
        message = f"Too many requests; current limit is {rate.most} per {rate.seconds} s."
        reply = answer({"code": -1003, "msg": message}, 429)
    return Reply(reply.status, reply.body, retry)


def _banned(dialect: str, until_us: int, now_us: int) -> Reply:
    message = f"Way too many requests; banned until {until_us // 1_000}."
    body = {"status": "error", "message": message} if dialect == OPENALGO else None
    reply = answer(body or {"code": -1003, "msg": message}, 418)
    wait_s = -(-(until_us - now_us) // 1_000_000)
    return Reply(reply.status, reply.body, ((b"retry-after", str(wait_s).encode()),))
