"""On which terms an account trades: read, and where the settings say so, set at every start.

Asking for what is so already is a refusal in Binance's words, and as good as success; so every
instance may ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from onefill.brokers.accounts import SymbolTerms
from onefill.brokers.binance import words
from onefill.brokers.binance.wire import Wire
from onefill.brokers.http import Reply
from onefill.core.errors import BrokerUnavailable

_MODE = "/fapi/v1/positionSide/dual"
_NOTHING_TO_CHANGE = (-4046, -4059)
_OCCUPIED = (-4047, -4048)


async def read_mode(wire: Wire) -> bool:
    """Whether the account is in hedge mode: there each side of a symbol is a position of its own.

    Raises BrokerUnavailable.
    """
    return wire.read(await wire.ask(_MODE), words.mode_decoder).dual_side_position


async def set_terms(wire: Wire, wanted: Mapping[str, SymbolTerms]) -> None:
    """Set leverage and margin mode of these symbols. Raises BrokerUnavailable."""
    for symbol, terms in sorted(wanted.items()):
        named = f"symbol={quote(symbol, safe='')}"
        if terms.margin is not None:
            await _set(wire, "/fapi/v1/marginType", f"{named}&marginType={terms.margin}")
        if terms.leverage is not None:
            await _set(wire, "/fapi/v1/leverage", f"{named}&leverage={terms.leverage}")


async def _set(wire: Wire, path: str, parameters: str) -> None:
    reply = await wire.ask(path, parameters, "POST")
    refusal = words.refusal_of(reply)
    if reply.status == 200 or (refusal is not None and refusal.code in _NOTHING_TO_CHANGE):
        return
    raise BrokerUnavailable(
        "the account's terms can't be set",
        remedy=_remedy(reply),
        asked=f"{path} {parameters}",
        said=wire.quote(reply),
    )


def _remedy(reply: Reply) -> str:
    refusal = words.refusal_of(reply)
    if refusal is not None and refusal.code in _OCCUPIED:
        return (
            "Close the symbol's position and orders first, or set brokers.binance.symbols as "
            "it is at Binance now."
        )
    return "Correct brokers.binance.symbols, or leave it out: then nothing is set."
