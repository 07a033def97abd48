"""What an order binds of an account at an Indian broker, roughly."""

from __future__ import annotations

from decimal import Decimal

from onefill.venue.instruments import OPENALGO, Instrument, listed
from onefill.venue.market import Market
from onefill.venue.orders import Side

_MARGIN = Decimal("0.15")


def bound_by(market: Market, instrument: Instrument, side: Side, units: Decimal) -> Decimal:
    """A bought option costs its premium; all else binds a part of what it stands for."""
    if instrument.option is not None and side is Side.BUY:
        return market.quote(instrument) * units
    source = listed(OPENALGO, instrument.source) or instrument
    return market.quote(source) * units * _MARGIN
