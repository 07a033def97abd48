"""The instruments that the product knows without configuration; amounts in rupees."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from onefill.core.instrument import ExpiryRule, Instrument, Structure

_ALWAYS = date.min


def _pair(initial: str, ongoing: str) -> tuple[Decimal, Decimal]:
    return Decimal(initial), Decimal(ongoing)


BANK_NIFTY = Instrument(
    name="BANK_NIFTY",
    exchange="NFO",
    broker="openalgo",
    symbol_root="BANKNIFTY",
    structure=Structure.SYNTHETIC_FUTURE,
    expiry_rule=ExpiryRule.LAST_TUESDAY,
    point_value=Decimal(30),
    margin_per_lot=Decimal(270_000),
    units_per_lot=((_ALWAYS, 35), (date(2026, 1, 1), 30)),
    volatility_percent=_pair("0.5", "0.7"),
    stop_k=_pair("1.5", "2.5"),
    pyramids_max=5,
    freeze_quantity=600,
)
GOLD_MINI = Instrument(
    name="GOLD_MINI",
    exchange="MCX",
    broker="openalgo",
    symbol_root="GOLDM",
    structure=Structure.FUTURE,
    expiry_rule=ExpiryRule.FIFTH,
    point_value=Decimal(10),
    margin_per_lot=Decimal(105_000),
    units_per_lot=((_ALWAYS, 100),),
    volatility_percent=_pair("0.2", "0.3"),
    stop_k=_pair("1", "2"),
    tick=Decimal(1),
    pyramids_max=3,
    rollover_days=8,
    freeze_quantity=10_000,
)
COPPER = Instrument(
    name="COPPER",
    exchange="MCX",
    broker="openalgo",
    symbol_root="COPPER",
    structure=Structure.FUTURE,
    expiry_rule=ExpiryRule.FIFTH,
    point_value=Decimal(2500),
    margin_per_lot=Decimal(300_000),
    units_per_lot=((_ALWAYS, 2500),),
    stop_k=_pair("3", "5"),
    pyramids_max=3,
    rollover_days=8,
    freeze_quantity=70_000,
)
SILVER_MINI = Instrument(
    name="SILVER_MINI",
    exchange="MCX",
    broker="openalgo",
    symbol_root="SILVERM",
    structure=Structure.FUTURE,
    expiry_rule=ExpiryRule.FIFTH,
    point_value=Decimal(5),
    margin_per_lot=Decimal(385_000),
    units_per_lot=((_ALWAYS, 5),),
    stop_k=_pair("2", "3"),
    tick=Decimal(1),
    pyramids_max=5,
    rollover_days=8,
    freeze_quantity=600,
)

INSTRUMENTS = {each.name: each for each in (BANK_NIFTY, GOLD_MINI, COPPER, SILVER_MINI)}
"""By name; a configuration adds to these or replaces them."""
