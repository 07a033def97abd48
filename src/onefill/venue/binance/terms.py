"""On which terms an account trades: leverage, margin mode, position mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onefill.venue.binance import answers as shape
from onefill.venue.binance.answers import error, missing
from onefill.venue.engine import Engine
from onefill.venue.instruments import BINANCE_SYMBOLS
from onefill.venue.orders import Terms
from onefill.venue.wire import Reply, answer, integer_of

LEVERAGE_MAX = 125
_ACCOUNT = ""
_DONE = {"code": 200, "msg": "success"}

Form = Mapping[str, str]


class BinanceTerms:
    """Sets and shows the terms. What is as it was asked for already is refused, in these words:
    −4046 for the margin mode, −4059 for the position mode."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._book = engine.book

    def set_leverage(self, account: str, form: Form) -> Reply:
        """Any whole number of times up to 125; again is as good."""
        return self._on_symbol(account, form, "leverage", self._leverage)

    def set_margin_type(self, account: str, form: Form) -> Reply:
        """Isolated or crossed, while nothing is held or open in the symbol."""
        return self._on_symbol(account, form, "marginType", self._margin_type)

    def mode(self, account: str, _: Form) -> Reply:
        """Whether each side is a position of its own."""
        return answer({"dualSidePosition": self._book.terms_of(account, _ACCOUNT).hedged})

    def set_mode(self, account: str, form: Form) -> Reply:
        """One-way or hedge mode, while nothing is held or open at all."""
        wanted = form.get("dualSidePosition", "").lower()
        if wanted not in ("true", "false"):
            return missing("dualSidePosition")
        terms = self._book.terms_of(account, _ACCOUNT)
        if terms.hedged is (wanted == "true"):
            return error(-4059)
        if self._is_open(account, None):
            return error(-4067)
        if self._is_held(account, None):
            return error(-4068)
        terms.hedged = wanted == "true"
        self._engine.set_terms(terms)
        return answer(_DONE)

    def _on_symbol(
        self, account: str, form: Form, name: str, work: Callable[[Terms, str], Reply]
    ) -> Reply:
        for needed in ("symbol", name):
            if not form.get(needed):
                return missing(needed)
        if form["symbol"] not in BINANCE_SYMBOLS:
            return error(-1121)
        return work(self._book.terms_of(account, form["symbol"]), form[name])

    def _leverage(self, terms: Terms, wanted: str) -> Reply:
        leverage = integer_of(wanted)
        if leverage is None or not 1 <= leverage <= LEVERAGE_MAX:
            return error(-4028)
        terms.leverage = leverage
        self._engine.set_terms(terms)
        notional = str(shape.FUNDS)
        return answer({"symbol": terms.symbol, "leverage": leverage, "maxNotionalValue": notional})

    def _margin_type(self, terms: Terms, wanted: str) -> Reply:
        if wanted not in ("ISOLATED", "CROSSED"):
            return missing("marginType")
        if terms.isolated is (wanted == "ISOLATED"):
            return error(-4046)
        if self._is_open(terms.account, terms.symbol):
            return error(-4047)
        if self._is_held(terms.account, terms.symbol):
            return error(-4048)
        terms.isolated = wanted == "ISOLATED"
        self._engine.set_terms(terms)
        return answer(_DONE)

    def _is_open(self, account: str, symbol: str | None) -> bool:
        waiting = (algo for algo in self._book.algos.of(account, symbol) if algo.is_waiting)
        return any(self._book.open_orders_of(account, symbol)) or any(waiting)

    def _is_held(self, account: str, symbol: str | None) -> bool:
        return any(
            position.quantity and holder == account and symbol in (None, name)
            for (holder, name, _), position in self._book.positions.items()
        )
