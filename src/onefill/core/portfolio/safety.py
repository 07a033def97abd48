"""Switches that look at the market and at the margin in use. Source: SIG-18."""

from __future__ import annotations

from decimal import Decimal

from onefill.core.book import Account, Situation
from onefill.core.instrument import Rules, Switches
from onefill.core.money import figures, percent_of, plain
from onefill.core.portfolio.equity import Exposure
from onefill.core.portfolio.gates import Gate
from onefill.core.refusal import Refusal
from onefill.core.signal import Signal, SignalKind


def price_gate(signal: Signal, situation: Situation, switches: Switches) -> Gate:
    """Whether the signal's price is near the market's; open where no market price is known, unless
    the settings want one."""
    is_base = signal.kind is SignalKind.BASE_ENTRY
    most = switches.base_divergence_percent if is_base else switches.pyramid_divergence_percent
    market, price = situation.market_price, signal.price
    if market is None or price is None:
        is_blind = situation.market_asked and switches.needs_quote
        return Gate(refusal=Refusal.NO_QUOTE, passed=not is_blind, numbers={})
    away = percent_of(abs(price - market), market)
    return Gate(
        refusal=Refusal.PRICE_DIVERGENCE,
        passed=away <= most,
        numbers=figures(market_price=market, divergence_percent=away, divergence_percent_max=most),
    )


def exit_warnings(signal: Signal, situation: Situation, switches: Switches) -> tuple[str, ...]:
    """What to tell of an exit whose market is worse than the signal thought; never a refusal."""
    market, price = situation.market_price, signal.price
    if market is None or price is None or market >= price:
        return ()
    away = percent_of(price - market, price)
    if away <= switches.exit_divergence_percent:
        return ()
    lost = f"the market is at {plain(market)}, {round(away, 2)} % below the signal's {plain(price)}"
    return (f"{signal.lane}: exit goes ahead, but {lost}",)


def margin_gate(carried: Exposure, equity: Decimal, switches: Switches) -> Gate:
    """Whether the margin that is used leaves room for any entry."""
    used = percent_of(carried.margin, equity)
    return Gate(
        refusal=Refusal.MARGIN_USE,
        passed=used < switches.margin_block_percent,
        numbers=figures(margin_use_percent=used),
    )


def margin_warnings(lane: str, margin: Decimal, account: Account, rules: Rules) -> tuple[str, ...]:
    """What to tell of an entry after which so much margin is used."""
    used = percent_of(margin, account.closed_equity)
    if used < rules.switches.margin_warn_percent:
        return ()
    return (f"{lane}: with this entry {round(used, 1)} % of equity is used as margin",)
