"""The brokers' logins, and how each is traded at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from onefill.config.orders import PAPER_ACCOUNT
from onefill.config.section import NOTHING, Section


class BrokerSettings(Section):
    """One broker's login."""

    live: bool = Field(
        default=False,
        description="Trade real money here; the strategy must be live as well. False is paper.",
    )
    base_url: str = Field(
        default="",
        description="The broker's address; empty is the paper venue, or the broker's own.",
    )
    api_key: SecretStr = Field(
        default=NOTHING, description="The key of the account; needed for live."
    )
    api_secret: SecretStr = Field(default=NOTHING, description="The secret that signs requests.")
    account: str = Field(
        default=PAPER_ACCOUNT,
        min_length=1,
        description="The account's name in onefill's records; paper and live never share one.",
    )
    egress_addresses: tuple[str, ...] = Field(
        default=(),
        description="The addresses that are registered there; an instance that leaves by another "
        "one sends nothing. Empty is any.",
    )
    source_address: str = Field(
        default="",
        description="The local address that requests leave from; empty lets the system choose.",
    )


class SymbolSettings(Section):
    """How one symbol is traded on margin at Binance."""

    leverage: int = Field(
        default=0,
        ge=0,
        le=125,
        description="Set at each start; 0 leaves it as it is there.",
    )
    margin: Literal["", "isolated", "crossed"] = Field(
        default="",
        description="Set at each start; empty leaves it as it is there. Binance changes it only "
        "while nothing is held or open.",
    )


class BinanceSettings(BrokerSettings):
    """Binance USD-M futures."""

    recv_window_ms: int = Field(
        default=5000,
        ge=100,
        le=60_000,
        description="For how long Binance takes a signed request; an order in doubt is looked up "
        "only after it.",
    )
    stream_url: str = Field(
        default="",
        pattern=r"^(wss?://\S+)?$",
        description="Where Binance pushes what happens to orders, without the key; empty is its "
        "own address, or the paper venue's. Without it fills are polled for.",
    )
    symbols: Mapping[str, SymbolSettings] = Field(
        default_factory=dict, description="Leverage and margin mode by symbol."
    )


class OpenAlgoSettings(BrokerSettings):
    """OpenAlgo, and the broker behind it."""

    orders_per_s: int = Field(
        default=10,
        ge=0,
        description="How many orders, changes and cancels a second the broker takes from the "
        "account, all instances together; 0 is no limit.",
    )
    questions_per_s: int = Field(
        default=10,
        ge=0,
        description="How many other requests a second it takes; 0 is no limit.",
    )
    mcx_quantity: Literal["auto", "units", "contracts"] = Field(
        default="auto",
        description="What the server counts MCX quantities in: units since September 2026 (100 is "
        "one Gold Mini), contracts before. `auto` takes its own lot sizes' word; where they "
        "contradict, nothing is ordered.",
    )
    session_ends: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^$")] = Field(
        default="03:00",
        description="The time of day in India at which its sessions end; empty is not known.",
    )


class BrokersSettings(Section):
    """The brokers that this version knows."""

    binance: BinanceSettings = BinanceSettings()
    openalgo: OpenAlgoSettings = OpenAlgoSettings()
