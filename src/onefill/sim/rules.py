"""What is configured in every simulated world."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import lru_cache

from onefill.core.control.handover import HandoverTiming
from onefill.core.defaults import INSTRUMENTS
from onefill.core.instrument import Rules
from onefill.core.intake import parse
from onefill.core.intake.signal_time import Zones
from onefill.core.signal import Signal

MAX_AGE_S = 5
QUARANTINE_AFTER_S = 1.0
LOOK_AGAIN_EVERY_S = 5.0
RECONCILE_EVERY_S = 300.0
HANDOVER = HandoverTiming(drain_ms=1_000, forced_after_ms=2_000)

RULES = Rules(
    deployment="sim",
    instruments={
        name: replace(instrument, broker="sim") for name, instrument in INSTRUMENTS.items()
    },
    max_age_s=Decimal(MAX_AGE_S),
    direct_broker="sim",
    exit_retry_s=(1, 1, 2),
)
ZONES = Zones.named({each.name: each.zone for each in RULES.instruments.values()})


@lru_cache(maxsize=4096)
def read(payload: str) -> Signal:
    """A logged payload back into a signal, with ours of the engine's broker."""
    return parse.read(payload, zones=ZONES)
