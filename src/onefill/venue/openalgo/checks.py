"""What is wrong with an order in OpenAlgo's words, before it is looked at any further."""

from __future__ import annotations

from collections.abc import Mapping

from onefill.core.money import plain
from onefill.venue.engine import Change
from onefill.venue.instruments import Instrument
from onefill.venue.orders import Kind, Side, Ticket

Body = Mapping[str, object]
_PRODUCTS = ("MIS", "NRML", "CNC")


def complaint_of(body: Body, instrument: Instrument) -> str | None:
    """What is wrong with the words of an order; None if nothing is."""
    checks = (
        (body.get("strategy"), "strategy is missing"),
        (instrument.is_tradable, "an index can't be traded"),
        (body.get("action") in list(Side), "action must be BUY or SELL"),
        (body.get("product", "NRML") in _PRODUCTS, f"product must be one of {_PRODUCTS}"),
        (
            body.get("pricetype", "MARKET") in list(Kind),
            "pricetype must be MARKET, LIMIT, SL or SL-M",
        ),
    )
    return next((complaint for holds, complaint in checks if not holds), None)


def misfit_of(wish: Ticket | Change, instrument: Instrument) -> str | None:
    """What is wrong with the numbers of an order; None if nothing is."""
    needs_price = wish.kind in (Kind.LIMIT, Kind.SL)
    needs_trigger = wish.kind in (Kind.SL, Kind.SLM)
    lots = " or ".join(plain(step) for step in instrument.steps)
    tick = plain(instrument.tick)
    checks = (
        (wish.quantity > 0, "quantity must be above 0"),
        (
            wish.quantity <= instrument.most,
            f"quantity must be at most the freeze quantity {plain(instrument.most)}",
        ),
        (instrument.fits(wish.quantity), f"quantity must be a multiple of the lot size {lots}"),
        (not needs_price or wish.price > 0, "price must be above 0"),
        (not needs_price or wish.price % instrument.tick == 0, f"price must be on the tick {tick}"),
        (not needs_trigger or wish.trigger_price > 0, "trigger_price must be above 0"),
    )
    return next((complaint for holds, complaint in checks if not holds), None)
