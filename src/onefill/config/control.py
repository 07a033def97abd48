"""Settings of control: how the right to act is kept, and how it is handed over."""

from __future__ import annotations

from pydantic import Field

from onefill.config.section import Section


class LeaseSettings(Section):
    """How long the right to act lasts, and how it is kept. Source: CTL-3, CTL-4."""

    ttl_ms: int = Field(
        default=1200,
        ge=100,
        le=60_000,
        description="How long a granted lease lasts; unset in shared-redis it is 1500.",
    )
    renew_every_ms: int = Field(default=250, ge=10, description="Time between two renewals.")
    call_timeout_ms: int = Field(
        default=200,
        ge=10,
        description="How long one call to the store may take before it has failed.",
    )
    give_up_ms: int = Field(
        default=800,
        ge=50,
        description="Without a successful renewal for so long the holder stops acting by itself; "
        "less than the ttl, so that it has stopped before another may start.",
    )
    flap_damping: bool = Field(
        default=True,
        description="Let the lease last longer (twice, at most four times) after each third "
        "takeover within an hour whose old holder proved alive.",
    )


class TakeoverSettings(Section):
    """How control is handed over. Source: CTL-11."""

    drain_ms: int = Field(
        default=5_000,
        ge=0,
        description="How long the holder may wait for the answers to what it has sent, before "
        "it hands over anyway; open orders are settled by the next one.",
    )
    forced_after_ms: int = Field(
        default=10_000,
        ge=100,
        description="When the holder has not handed over after so long, control is taken.",
    )


class SpoolSettings(Section):
    """Signals that come while the database is away. Source: SIG-16."""

    bytes_max: int = Field(
        default=64 * 1024 * 1024,
        ge=16 * 1024,
        description="How much of the data directory signals may take that wait for the database; "
        "they are answered with 503 in any case.",
    )
