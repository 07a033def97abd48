"""The routes of those who judge and disturb the venue; stable, see 60-interfaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from urllib.parse import parse_qs

from onefill.core.money import ZERO, plain
from onefill.venue.access import Doorkeeper
from onefill.venue.clock import VenueClock, iso
from onefill.venue.engine import Engine
from onefill.venue.faults import Faults, read_fault
from onefill.venue.instruments import BINANCE, OPENALGO, source_of
from onefill.venue.openalgo.dialect import OpenAlgoDialect
from onefill.venue.options import VenueOptions
from onefill.venue.orders import FIRST_ID, Execution, Order, PositionSide
from onefill.venue.rates import Turnstile, read_rates
from onefill.venue.wire import Reply, Request, answer, decimal_of, integer_of

Handler = Callable[[Request], Reply]


class Control:
    """Reads the ledger out, and sets price, clock, faults and settings."""

    def __init__(
        self,
        options: VenueOptions,
        engine: Engine,
        clock: VenueClock,
        faults: Faults,
        openalgo: OpenAlgoDialect,
        *,
        turnstile: Turnstile,
        doorkeeper: Doorkeeper,
    ) -> None:
        self._turnstile = turnstile
        self._doorkeeper = doorkeeper
        self._options = options
        self._engine = engine
        self._clock = clock
        self._faults = faults
        self._openalgo = openalgo
        self.routes: dict[tuple[str, str], Handler] = {
            ("GET", "/healthz"): self._health,
            ("GET", "/ledger"): self._ledger,
            ("GET", "/positions"): self._positions,
            ("GET", "/faults"): self._list_faults,
            ("POST", "/faults"): self._add_fault,
            ("DELETE", "/faults"): self._clear_faults,
            ("POST", "/price"): self._set_price,
            ("POST", "/clock"): self._set_clock,
            ("POST", "/settings"): self._set,
            ("GET", "/rates"): self._list_rates,
            ("POST", "/rates"): self._set_rates,
            ("POST", "/access"): self._set_access,
            ("GET", "/market"): self._list_market,
            ("POST", "/market"): self._set_market,
            ("GET", "/address"): lambda request: Reply(200, request.caller.encode()),
        }

    def _health(self, _: Request) -> Reply:
        broker_class = self._options.broker_class
        return answer(
            {
                "status": "ok",
                "class": str(broker_class),
                "lag_ms": self._options.lag_ms,
                "client_id_scope": broker_class.scope,
                "searchable": broker_class.is_searchable,
                "requests_expire": broker_class.requests_expire,
                "time_ms": self._clock.now_ms(),
                "orders": len(self._engine.book.orders),
                "executions": len(self._engine.book.executions),
                "faults": len(self._faults.active),
                "rates": {name: self._turnstile.declared(name) for name in (BINANCE, OPENALGO)},
            }
        )

    def _ledger(self, request: Request) -> Reply:
        """Every order that executed; with `all=1` also those that never did."""
        wanted = parse_qs(request.query)
        since = integer_of(wanted.get("since", ["0"])[-1])
        if since is None:
            return _wrong("since is an execution id")
        book = self._engine.book
        executions = book.executions[max(0, since + 1 - FIRST_ID) :]
        orders: Iterable[Order] = book.orders.values()
        if wanted.get("all", ["0"])[-1] != "1":
            executed = dict.fromkeys(execution.broker_order_id for execution in executions)
            orders = (book.orders[number] for number in sorted(executed))
        return answer(
            {
                "orders": [_order_row(order) for order in orders],
                "executions": [_execution_row(execution) for execution in executions],
            }
        )

    def _positions(self, _: Request) -> Reply:
        rows = [
            {
                "account": account,
                "symbol": symbol,
                **({} if side is PositionSide.BOTH else {"position_side": str(side)}),
                "quantity": plain(position.quantity),
            }
            for (account, symbol, side), position in self._engine.book.positions.items()
            if position.quantity
        ]
        return answer({"positions": rows})

    def _list_faults(self, _: Request) -> Reply:
        return answer({"faults": self._faults.active})

    def _add_fault(self, request: Request) -> Reply:
        wish = request.json()
        if wish is None:
            return _wrong("the body is a JSON object")
        fault = read_fault(wish)
        if isinstance(fault, str):
            return _wrong(fault)
        self._faults.add(fault)
        return answer({"status": "ok", "faults": len(self._faults.active)})

    def _clear_faults(self, _: Request) -> Reply:
        self._faults.clear()
        return answer({"status": "ok", "faults": 0})

    def _set_access(self, request: Request) -> Reply:
        complaint = self._doorkeeper.set(request.json() or {})
        return _wrong(complaint) if complaint is not None else answer({"status": "ok"})

    def _list_rates(self, _: Request) -> Reply:
        return answer({"rates": self._turnstile.report()})

    def _set_rates(self, request: Request) -> Reply:
        wish = request.json() or {}
        rates = read_rates(wish.get("rates"))
        ban_s = integer_of(wish.get("ban_s", 120))
        if isinstance(rates, str):
            return _wrong(rates)
        if ban_s is None or ban_s < 0:
            return _wrong("ban_s is a whole number of seconds, not negative")
        self._turnstile.set(rates, ban_s)
        return answer({"status": "ok", "rates": len(rates)})

    def _list_market(self, _: Request) -> Reply:
        sessions = self._engine.sessions
        return answer({"closed": sorted(sessions.closed), "turned_away": sessions.turned_away})

    def _set_market(self, request: Request) -> Reply:
        """Open or close an exchange, whatever the time is; all are open after a restart."""
        wish = request.json() or {}
        exchange, is_open = wish.get("exchange"), wish.get("open")
        if exchange not in ("NFO", "MCX") or not isinstance(is_open, bool):
            return _wrong("exchange is NFO or MCX, open is true or false")
        (self._engine.open_market if is_open else self._engine.close_market)(str(exchange))
        return self._list_market(request)

    def _set_price(self, request: Request) -> Reply:
        wish = request.json() or {}
        source, price = source_of(str(wish.get("symbol"))), decimal_of(wish.get("price"))
        if source is None:
            return _wrong("no such price: an option's follows BANKNIFTY, other symbols are unknown")
        if price is None or price <= 0:
            return _wrong("price is a number above 0")
        self._engine.push_price(source, price)
        return answer({"status": "ok", "symbol": source, "price": plain(price)})

    def _set_clock(self, request: Request) -> Reply:
        wish = request.json() or {}
        offset_ms, at_ms = integer_of(wish.get("offset_ms")), integer_of(wish.get("at_ms"))
        if at_ms is not None:
            offset_ms = self._clock.offset_for(at_ms)
        if offset_ms is None:
            return _wrong("offset_ms or at_ms is a whole number of milliseconds")
        self._engine.shift_clock(offset_ms)
        return answer({"status": "ok", "offset_ms": offset_ms, "time_ms": self._clock.now_ms()})

    def _set(self, request: Request) -> Reply:
        """Change settings of the running venue; a restart brings back what it was started with."""
        wish = request.json() or {}
        numeric = {"spread", "volatility", "fill_at_most", "funds"}
        unknown = sorted(set(wish) - numeric - {"lean", "mcx_contracts", "listed"})
        if unknown:
            return _wrong(f"unknown setting {unknown[0]}")
        numbers = {name: decimal_of(wish[name]) for name in numeric & set(wish)}
        for name in ("fill_at_most", "funds"):
            if wish.get(name, 1) is None:
                numbers[name] = ZERO
        if any(number is None or number < 0 for number in numbers.values()):
            return _wrong("settings are numbers, not negative")
        if numbers.get("volatility") == 0:
            return _wrong("volatility is above 0")
        if "listed" in wish and (complaint := self._openalgo.listing.set(wish["listed"])):
            return _wrong(complaint)
        self._apply(wish, {name: number for name, number in numbers.items() if number is not None})
        return answer({"status": "ok"})

    def _apply(self, wish: dict[str, object], numbers: dict[str, Decimal]) -> None:
        market = self._engine.market
        market.spread = numbers.get("spread", market.spread)
        market.volatility = numbers.get("volatility", market.volatility)
        if "fill_at_most" in numbers:
            self._engine.fill_at_most = numbers["fill_at_most"] or None
        if "funds" in numbers:
            self._engine.funds = numbers["funds"] or None
        openalgo = self._openalgo
        openalgo.is_lean = bool(wish.get("lean", openalgo.is_lean))
        openalgo.counts_contracts = bool(wish.get("mcx_contracts", openalgo.counts_contracts))


def _order_row(order: Order) -> dict[str, object]:
    return {
        "client_order_id": order.client_order_id,
        "broker_order_id": str(order.broker_order_id),
        "dialect": order.dialect,
        "account": order.account,
        "symbol": order.symbol,
        "side": str(order.side),
        "quantity": plain(order.quantity),
        "filled_quantity": plain(order.filled_quantity),
        "average_price": plain(order.average_price),
        "status": str(order.status),
        "received_at": iso(order.received_at),
        "executed_at": iso(order.executed_at),
    }


def _execution_row(execution: Execution) -> dict[str, object]:
    return {
        "execution_id": str(execution.execution_id),
        "broker_order_id": str(execution.broker_order_id),
        "client_order_id": execution.client_order_id,
        "symbol": execution.symbol,
        "side": str(execution.side),
        "quantity": plain(execution.quantity),
        "price": plain(execution.price),
        "at": iso(execution.at),
    }


def _wrong(message: str) -> Reply:
    return answer({"error": message}, 400)
