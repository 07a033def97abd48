"""Accounts: who we are at which broker. Paper unless `live` is said in so many words (ORD-14)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import urlsplit

from onefill.brokers.http import HttpLimits
from onefill.brokers.meter import Rates
from onefill.core.errors import ConfigurationError

PAPER = "paper"
"""The paper account's name, and its key and secret at the paper venue."""

_STREAM = "/private/ws"
_NEAR = ("localhost", "127.0.0.1", "::1")
_LIVE_LAG_MS_MIN = 10_000
_LIVE_MARGIN_MS = 2_000
_RECV_WINDOW_MS_MAX = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolTerms:
    """How a symbol is traded on margin; None leaves it as it is at the venue.

    leverage: times; margin: `ISOLATED` or `CROSSED`.
    """

    leverage: int | None = None
    margin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceAccount:
    """A login at Binance USD-M futures, or at the paper venue's dialect of it.

    recv_window_ms: how long a signed request stays valid at the venue. send_within_ms: how long
    an order may wait for its socket. visibility_lag_ms: how long after its expiry an order may
    still appear (live only: the paper venue declares its own).
    source_address: the local address that requests leave from; empty is any.
    stream_url: the user stream's address without its key; empty is beside base_url.
    prolong_key_every_s: a key of the stream is good for an hour. symbols: terms to set at start.
    """

    base_url: str
    account: str = PAPER
    api_key: str = field(default=PAPER, repr=False)
    api_secret: str = field(default=PAPER, repr=False)
    live: bool = False
    recv_window_ms: int = 5_000
    send_within_ms: int = 2_000
    visibility_lag_ms: int = _LIVE_LAG_MS_MIN
    resync_every_s: float = 60.0
    source_address: str = ""
    stream_url: str = ""
    prolong_key_every_s: float = 1_500.0
    symbols: Mapping[str, SymbolTerms] = field(default_factory=dict)
    http: HttpLimits = field(default_factory=HttpLimits)

    @property
    def margin_ms(self) -> int:
        """What is added to the lag before an absence counts; the paper venue's word needs none."""
        return _LIVE_MARGIN_MS if self.live else 0

    @property
    def stream_address(self) -> str:
        """Where the user stream is; of the paper venue, at its own address."""
        return self.stream_url or f"ws{self.base_url.removeprefix('http').rstrip('/')}{_STREAM}"

    def __post_init__(self) -> None:
        _check_login(self.live, self.base_url, self.account, (self.api_key, self.api_secret))
        stream = urlsplit(self.stream_address)
        _check(
            not self.live or stream.scheme == "wss" or stream.hostname in _NEAR,
            "a live account's stream is reached by wss, or on this very machine",
            account=self.account,
        )
        _check(self.prolong_key_every_s > 0, "prolong_key_every_s is positive")
        _check(
            0 < self.recv_window_ms <= _RECV_WINDOW_MS_MAX,
            "recv_window_ms is between 1 and 60000",
            recv_window_ms=self.recv_window_ms,
        )
        _check(self.send_within_ms > 0, "send_within_ms is positive")
        _check(
            self.visibility_lag_ms >= _LIVE_LAG_MS_MIN,
            "a live order may appear up to 10 s late: visibility_lag_ms is at least 10000",
            visibility_lag_ms=self.visibility_lag_ms,
        )


class QuantityUnit(enum.StrEnum):
    """In what an OpenAlgo server counts MCX quantities: it changed with the server's version."""

    AUTO = "auto"  # as its own lot sizes say
    UNITS = "units"
    CONTRACTS = "contracts"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAlgoAccount:
    """A login at an OpenAlgo server, or at the paper venue's dialect of it.

    product: NRML carries positions over night. mcx_quantity: what the server counts on MCX;
    where its own lot sizes contradict, nothing is ordered. units_per_contract: by the symbol's
    root (GOLDM: 100).
    visibility_lag_ms: how long to look for an order whose answer was lost before a person must.
    rates: what the broker behind it allows; of the paper venue, what that declares.
    source_address: the local address that requests leave from; empty is any.
    """

    base_url: str
    account: str = PAPER
    api_key: str = field(default=PAPER, repr=False)
    live: bool = False
    product: str = "NRML"
    mcx_quantity: QuantityUnit = QuantityUnit.AUTO
    units_per_contract: Mapping[str, Decimal] = field(default_factory=dict)
    send_within_ms: int = 2_000
    visibility_lag_ms: int = 120_000
    rates: Rates = field(default_factory=Rates)
    source_address: str = ""
    http: HttpLimits = field(default_factory=HttpLimits)

    def __post_init__(self) -> None:
        _check_login(self.live, self.base_url, self.account, (self.api_key,))
        _check(self.send_within_ms > 0, "send_within_ms is positive")
        _check(
            all(units > 0 for units in self.units_per_contract.values()),
            "units_per_contract is positive for every root",
        )


def _check_login(live: bool, base_url: str, account: str, secrets: tuple[str, ...]) -> None:
    address = urlsplit(base_url)
    _check(
        address.scheme in ("http", "https") and bool(address.hostname),
        "a broker's base_url begins with http:// or https://",
        account=account,
    )
    if not live:
        return
    _check(account != PAPER, "a live account is not named `paper`: they share no rows")
    _check(
        all(secret not in ("", PAPER) for secret in secrets),
        "a live account needs its own key and secret",
        account=account,
    )
    _check(
        address.scheme == "https" or address.hostname in _NEAR,
        "a live account is reached by https, or on this very machine",
        account=account,
    )


def _check(holds: bool, complaint: str, **facts: object) -> None:
    if not holds:
        error = ConfigurationError(complaint)
        error.facts = facts
        raise error
