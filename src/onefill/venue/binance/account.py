"""Positions, balance and prices in Binance's dialect: everything that is not an order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from onefill.core.money import ZERO, plain
from onefill.venue.binance import answers as shape
from onefill.venue.binance.answers import error
from onefill.venue.binance.reference import OFFERED
from onefill.venue.book import Position
from onefill.venue.clock import VenueClock
from onefill.venue.engine import Engine
from onefill.venue.instruments import BINANCE, BINANCE_SYMBOLS
from onefill.venue.orders import PositionSide, Side, Ticket
from onefill.venue.rates import Turnstile
from onefill.venue.wire import Reply, Request, answer

_ONE_WAY = PositionSide.BOTH

Form = Mapping[str, str]


class BinanceAccounts:
    """Answers what an account holds and what the market costs."""

    def __init__(self, engine: Engine, clock: VenueClock, turnstile: Turnstile) -> None:
        self._turnstile = turnstile
        self._engine = engine
        self._market = engine.market
        self._book = engine.book
        self._clock = clock

    def positions(self, account: str, form: Form) -> Reply:
        """Every symbol, held or not, or the one that is named."""
        wanted = [form["symbol"]] if form.get("symbol") else list(BINANCE_SYMBOLS)
        sides = list(PositionSide) if self._book.terms_of(account, "").hedged else [_ONE_WAY]
        rows = [self._position_row(account, name, side) for name in wanted for side in sides]
        return answer(rows)

    def held_positions(self, account: str, form: Form) -> Reply:
        """Only what is not flat."""
        rows = self._held_rows(account)
        return answer([row for row in rows if form.get("symbol") in (None, "", row["symbol"])])

    def _held_rows(self, account: str) -> list[dict[str, object]]:
        return [
            self._position_row(account, symbol, side)
            for symbol, side, position in self._held(account)
            if position.quantity
        ]

    def _position_row(self, account: str, symbol: str, side: PositionSide) -> dict[str, object]:
        position = self._book.positions.get((account, symbol, side)) or Position()
        terms, mark = self._book.terms_of(account, symbol), self._mark_of(symbol)
        return shape.position_row(terms, side, position, mark, now_ms=self._clock.now_ms())

    def balance(self, account: str, _: Form) -> Reply:
        """The account's funds."""
        return answer([self._balance_row(account)])

    def account(self, account: str, _: Form) -> Reply:
        """Funds and positions together."""
        return answer(shape.account_row(self._balance_row(account), self._held_rows(account)))

    def _balance_row(self, account: str) -> dict[str, object]:
        held = list(self._held(account))
        realised = sum((position.realised for _, _, position in held), ZERO)
        marked = [(position, self._mark_of(symbol)) for symbol, _, position in held]
        unrealised = sum((position.gain_at(mark) for position, mark in marked), ZERO)
        margin = sum((shape.margin_of(position.quantity * mark) for position, mark in marked), ZERO)
        funds = shape.FUNDS if self._engine.funds is None else self._engine.funds
        return shape.balance_row(funds, realised, unrealised, margin, self._clock.now_ms())

    def lacks_margin(self, ticket: Ticket) -> bool:
        """Whether the account can't bind what the order needs; what it closes first needs none."""
        if self._engine.funds is None or ticket.reduces:
            return False
        net = self._book.position_of(ticket)
        against = max(net if ticket.side is Side.SELL else -net, ZERO)
        terms = self._book.terms_of(ticket.account, ticket.symbol)
        price = ticket.price or self._mark_of(ticket.symbol)
        opens = ticket.quantity - 2 * min(against, ticket.quantity)
        free = Decimal(str(self._balance_row(ticket.account)["availableBalance"]))
        return opens * price / terms.leverage > free

    def configuration(self, account: str, form: Form) -> Reply:
        """On which terms the account trades each symbol, or the one that is named."""
        wanted = [form["symbol"]] if form.get("symbol") else list(BINANCE_SYMBOLS)
        if not set(wanted) <= set(BINANCE_SYMBOLS):
            return error(-1121)
        terms = [self._book.terms_of(account, symbol) for symbol in wanted]
        return answer(
            [
                {
                    "symbol": each.symbol,
                    "marginType": "ISOLATED" if each.isolated else "CROSSED",
                    "isAutoAddMargin": False,
                    "leverage": each.leverage,
                    "maxNotionalValue": plain(shape.FUNDS),
                }
                for each in terms
            ]
        )

    def _held(self, account: str) -> Iterable[tuple[str, PositionSide, Position]]:
        for (holder, symbol, side), position in self._book.positions.items():
            if holder == account and symbol in BINANCE_SYMBOLS:
                yield symbol, side, position

    def time(self, _: Request) -> Reply:
        """The venue's time."""
        return answer({"serverTime": self._clock.now_ms()})

    def exchange_information(self, _: Request) -> Reply:
        """All symbols and their filters, and what an account may ask."""
        rates = self._turnstile.declared(BINANCE)
        return answer(shape.exchange_information(self._clock.now_ms(), rates))

    def ticker(self, request: Request) -> Reply:
        """Last prices."""
        return self._priced(request, "price")

    def mark(self, request: Request) -> Reply:
        """Mark prices."""
        return self._priced(request, "markPrice")

    def book_ticker(self, request: Request) -> Reply:
        """Best bids and asks."""
        return self._by_symbol(request, self._offers)

    def _offers(self, symbol: str) -> dict[str, str]:
        bid, ask = self._market.sides(BINANCE_SYMBOLS[symbol])
        sizes = {"bidQty": OFFERED, "askQty": OFFERED}
        return {"bidPrice": plain(bid), "askPrice": plain(ask), **sizes}

    def _priced(self, request: Request, field: str) -> Reply:
        return self._by_symbol(request, lambda symbol: {field: plain(self._mark_of(symbol))})

    def _by_symbol(self, request: Request, figures: Callable[[str], dict[str, str]]) -> Reply:
        symbol = request.form().get("symbol")
        if symbol and symbol not in BINANCE_SYMBOLS:
            return error(-1121)
        now_ms = self._clock.now_ms()
        rows = [
            {"symbol": name, **figures(name), "time": now_ms}
            for name in ([symbol] if symbol else BINANCE_SYMBOLS)
        ]
        return answer(rows[0] if symbol else rows)

    def _mark_of(self, symbol: str) -> Decimal:
        return self._market.quote(BINANCE_SYMBOLS[symbol])
