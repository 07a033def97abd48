"""The OpenAlgo dialect: one API to Indian brokers, which knows no client order ids (class C)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from onefill.core.money import ZERO
from onefill.venue.book import Position
from onefill.venue.dialect import CANCEL, MARKET, MODIFY, PLACE, QUERY, Route, Routes, Work
from onefill.venue.engine import Change, Circumstances, Engine
from onefill.venue.faults import FaultKind
from onefill.venue.instruments import OPENALGO, Instrument, instrument_of, listed
from onefill.venue.openalgo.answers import stamp, trade_row
from onefill.venue.openalgo.checks import Body, complaint_of, misfit_of
from onefill.venue.openalgo.listing import Listing
from onefill.venue.openalgo.margin import bound_by
from onefill.venue.orders import Kind, Order, Refusal, Side, Status, Ticket
from onefill.venue.wire import Reply, Request, answer, decimal_of, exact, integer_of

_FUNDS = Decimal(1_000_000_000)
_TIMED_OUT = (
    "Order request timed out. Please check the order book and confirm before placing again."
)
_FAULTS = {
    FaultKind.REJECT: (400, "Insufficient funds: the required margin exceeds the available one."),
    FaultKind.ERROR_BEFORE: (503, "Service Unavailable."),
    FaultKind.ERROR_AFTER: (503, "An unexpected error occurred in the API endpoint"),
    FaultKind.LYING_400: (400, _TIMED_OUT),
    FaultKind.LATE: (400, _TIMED_OUT),
}
_WORDS = {
    Status.FILLED: "complete",
    Status.CANCELED: "cancelled",
    Status.EXPIRED: "cancelled",
}

Handler = Callable[[str, Body], Reply]

MODIFICATIONS_MAX = 25
"""How often an order may be changed, as at Zerodha."""
_DAY_US = 24 * 60 * 60 * 1_000_000


class OpenAlgoDialect:
    """Speaks OpenAlgo's order and account services. `strategy` reaches the ledger, no list.

    is_lean: hides filled quantity and average price, as its Zerodha adapter does.
    counts_contracts: MCX quantities are contracts, as in servers before September 2026.
    """

    counts_contracts = False

    def __init__(self, engine: Engine, is_lean: bool) -> None:
        self._engine = engine
        self._book = engine.book
        self.is_lean = is_lean
        self.listing = Listing()
        self.routes: Routes = self._routes()

    def facts(self, request: Request) -> dict[str, str]:
        """The fields as sent, and the fields of the ledger that they name."""
        body = request.json() or {}
        sent = {name: str(value) for name, value in body.items()}
        return {
            **sent,
            "dialect": OPENALGO,
            "account": sent.get("apikey", ""),
            "side": sent.get("action", ""),
            "type": sent.get("pricetype", ""),
            "client_order_id": sent.get("strategy", ""),
            "broker_order_id": sent.get("orderid", ""),
        }

    def fault_reply(self, kind: FaultKind) -> Reply:
        """What OpenAlgo says when its broker fails in this way."""
        status, message = _FAULTS[kind]
        return _error(message, status)

    def _routes(self) -> Routes:
        def route(kind: str, handler: Handler) -> Route:
            return Route(kind, lambda request: _with_key(request, handler))

        services = {
            "modifyorder": route(MODIFY, self._modify),
            "cancelorder": route(CANCEL, self._cancel),
            "orderstatus": route(QUERY, self._status),
            "orderbook": route(QUERY, self._order_book),
            "tradebook": route(QUERY, self._trade_book),
            "positionbook": route(QUERY, self._position_book),
            "funds": route(MARKET, self._funds),
            "quotes": route(MARKET, self._quotes),
            "expiry": route(MARKET, self.listing.expiry),
            "symbol": route(MARKET, self._symbol),
            "margin": route(MARKET, self._margin),
            "ping": route(MARKET, _pong),
            "placeorder": Route(PLACE, self._place),
        }
        return {("POST", f"/api/v1/{name}"): service for name, service in services.items()}

    # Orders

    def _place(self, request: Request) -> Reply | Work:
        entry = _key_of(request)
        if isinstance(entry, Reply):
            return entry
        account, body = entry
        ticket = self._ticket(account, body, request.received_at)
        if isinstance(ticket, str):
            return _error(ticket)
        if self._lacks_margin(ticket):
            return self.fault_reply(FaultKind.REJECT)
        return lambda circumstances: self._execute(ticket, circumstances)

    def _execute(self, ticket: Ticket, circumstances: Circumstances) -> Reply:
        order = self._engine.place(ticket, circumstances)
        if isinstance(order, Refusal):
            return _error(order.value)
        return answer({"status": "success", "orderid": str(order.broker_order_id)})

    def _ticket(self, account: str, body: Body, received_at: int) -> Ticket | str:
        instrument = listed(OPENALGO, str(body.get("symbol")))
        if instrument is None or instrument.exchange != body.get("exchange"):
            return f"Symbol {body.get('symbol')} not found on exchange {body.get('exchange')}"
        quantity = decimal_of(body.get("quantity"))
        price = decimal_of(body.get("price") or 0)
        trigger_price = decimal_of(body.get("trigger_price") or 0)
        if quantity is None or price is None or trigger_price is None:
            return "quantity, price and trigger_price must be numbers"
        complaint = complaint_of(body, instrument)
        if complaint is not None:
            return complaint
        quantity *= self._unit(instrument)
        ticket = Ticket(
            client_order_id=str(body.get("strategy") or ""),
            dialect=OPENALGO,
            account=account,
            symbol=instrument.symbol,
            side=Side(str(body["action"])),
            quantity=quantity,
            received_at=received_at,
            kind=Kind(str(body.get("pricetype", "MARKET"))),
            price=price,
            trigger_price=trigger_price,
            product=str(body.get("product", "NRML")),
        )
        return misfit_of(ticket, instrument) or ticket

    def _modify(self, account: str, body: Body) -> Reply:
        order = self._find(account, body)
        if order is None:
            return _error("Order not found", 404)
        if order.modifications >= MODIFICATIONS_MAX:
            return _error("Maximum allowed order modifications exceeded.")
        values = [
            decimal_of(body.get(name) or before)
            for name, before in (
                ("quantity", order.quantity),
                ("price", order.price),
                ("trigger_price", order.trigger_price),
            )
        ]
        quantity, price, trigger_price = values
        kind = str(body.get("pricetype", order.kind))
        if quantity is None or price is None or trigger_price is None or kind not in list(Kind):
            return _error("quantity, price, trigger_price or pricetype is not valid")
        if body.get("quantity"):
            quantity *= self._unit(instrument_of(OPENALGO, order.symbol))
        change = Change(
            quantity=quantity, price=price, trigger_price=trigger_price, kind=Kind(kind)
        )
        misfit = misfit_of(change, instrument_of(OPENALGO, order.symbol))
        if misfit is not None:
            return _error(misfit)
        refusal = self._engine.modify(order, change)
        if refusal is Refusal.MARKET_CLOSED:
            return _error(refusal.value)
        return _done(order) if refusal in (None, Refusal.UNCHANGED) else _not_open(order)

    def _cancel(self, account: str, body: Body) -> Reply:
        order = self._find(account, body)
        if order is None:
            return _error("Order not found", 404)
        return _done(order) if self._engine.cancel(order) is None else _not_open(order)

    def _find(self, account: str, body: Body) -> Order | None:
        order = self._book.order(account, integer_of(body.get("orderid")))
        return order if order is not None and order.dialect == OPENALGO else None

    # Lists

    def _status(self, account: str, body: Body) -> Reply:
        order = self._find(account, body)
        if order is None:
            return _error("Order not found", 404)
        return _success(self._row(order))

    def _order_book(self, account: str, _: Body) -> Reply:
        orders = [
            order
            for order in self._book.orders_of(account)
            if order.dialect == OPENALGO and self._is_of_the_day(order.received_at)
        ]
        words = [_word(order) for order in orders]
        statistics = {
            "total_buy_orders": sum(order.side is Side.BUY for order in orders),
            "total_sell_orders": sum(order.side is Side.SELL for order in orders),
            "total_completed_orders": words.count("complete"),
            "total_open_orders": words.count("open") + words.count("trigger pending"),
            "total_rejected_orders": 0,
        }
        rows = [self._row(order) for order in orders]
        return _success({"orders": rows, "statistics": statistics})

    def _is_of_the_day(self, at_us: int) -> bool:
        """Indian brokers list one day's orders; here the last 24 hours, so no midnight cuts in."""
        return abs(self._engine.clock.now_us() - at_us) < _DAY_US

    def _unit(self, instrument: Instrument) -> Decimal:
        """Units in one of what quantities are counted in."""
        is_counted = self.counts_contracts and instrument.exchange == "MCX"
        return instrument.steps[0] if is_counted else Decimal(1)

    def _row(self, order: Order) -> dict[str, object]:
        instrument = instrument_of(OPENALGO, order.symbol)
        unit = self._unit(instrument)
        row: dict[str, object] = {
            "orderid": str(order.broker_order_id),
            "symbol": order.symbol,
            "exchange": instrument.exchange,
            "action": str(order.side),
            "product": order.product,
            "pricetype": str(order.kind),
            "quantity": exact(order.quantity / unit),
            "price": exact(order.price),
            "trigger_price": exact(order.trigger_price),
            "order_status": _word(order),
            "timestamp": stamp(order.received_at),
        }
        if not self.is_lean:
            row["filled_quantity"] = exact(order.filled_quantity / unit)
            row["average_price"] = exact(order.average_price)
        return row

    def _trade_book(self, account: str, _: Body) -> Reply:
        rows = []
        for trade in self._book.trades_of(account):
            order = self._book.orders[trade.broker_order_id]
            if order.dialect == OPENALGO and self._is_of_the_day(trade.at):
                unit = self._unit(instrument_of(OPENALGO, trade.symbol))
                rows += [trade_row(trade, order, unit)] * (2 if trade.reported_twice else 1)
        return _success(rows)

    def _position_book(self, account: str, _: Body) -> Reply:
        rows = [
            self._position_row(instrument, position)
            for (holder, symbol, _), position in self._book.positions.items()
            if holder == account and (instrument := listed(OPENALGO, symbol)) is not None
        ]
        return _success(rows)

    def _position_row(self, instrument: Instrument, position: Position) -> dict[str, object]:
        price = self._engine.market.quote(instrument)
        return {
            "symbol": instrument.symbol,
            "exchange": instrument.exchange,
            "product": "NRML",
            "quantity": exact(position.quantity / self._unit(instrument)),
            "average_price": exact(position.entry_price.quantize(Decimal("0.0001"))),
            "ltp": exact(price),
            "pnl": exact((position.realised + position.gain_at(price)).quantize(Decimal("0.01"))),
        }

    # Account and market

    def _funds(self, account: str, _: Body) -> Reply:
        available, realised, unrealised = self._cash(account)
        return _success(
            {
                "availablecash": _money(available),
                "collateral": "0.00",
                "m2mrealized": _money(realised),
                "m2munrealized": _money(unrealised),
                "utiliseddebits": "0.00",
            }
        )

    def _cash(self, account: str) -> tuple[Decimal, Decimal, Decimal]:
        """What may be bound, and what was gained: realised, and by the present prices."""
        realised = unrealised = ZERO
        for (holder, symbol, _side), position in self._book.positions.items():
            instrument = listed(OPENALGO, symbol)
            if holder == account and instrument is not None:
                realised += position.realised
                unrealised += position.gain_at(self._engine.market.quote(instrument))
        funds = _FUNDS if self._engine.funds is None else self._engine.funds
        return funds + realised, realised, unrealised

    def _margin(self, _: str, body: Body) -> Reply:
        """What a basket of orders would bind."""
        baskets = body.get("positions")
        rows = baskets if isinstance(baskets, list) else []
        total = ZERO
        for row in rows:
            instrument = listed(OPENALGO, str(row.get("symbol")))
            quantity = decimal_of(row.get("quantity"))
            if instrument is None or quantity is None:
                return _error("positions must name symbols and quantities")
            units = quantity * self._unit(instrument)
            total += bound_by(self._engine.market, instrument, Side(str(row.get("action"))), units)
        zero = {"span_margin": "0.00", "exposure_margin": "0.00"}
        return _success({"total_margin_required": _money(total), **zero})

    def _lacks_margin(self, ticket: Ticket) -> bool:
        if self._engine.funds is None:
            return False
        net = self._book.position(ticket.account, ticket.symbol)
        against = max(net if ticket.side is Side.SELL else -net, ZERO)
        opens = max(ticket.quantity - against, ZERO)
        instrument = instrument_of(OPENALGO, ticket.symbol)
        needed = bound_by(self._engine.market, instrument, ticket.side, opens)
        return needed > self._cash(ticket.account)[0]

    def _symbol(self, _: str, body: Body) -> Reply:
        """A contract as the server's master list has it; its lot is in what quantities count."""
        instrument = listed(OPENALGO, str(body.get("symbol")))
        if instrument is None or instrument.exchange != body.get("exchange"):
            return self.listing.symbol(_, body)
        unit = self._unit(instrument)
        lot = self.listing.lots.get(instrument.source, instrument.steps[0])
        return _success(
            {
                **{"symbol": instrument.symbol, "brsymbol": instrument.symbol},
                **{"exchange": instrument.exchange, "brexchange": instrument.exchange},
                "name": instrument.source,
                "lotsize": exact(lot / unit),
                "tick_size": exact(instrument.tick),
                "freeze_qty": exact(instrument.most / unit),
            }
        )

    def _quotes(self, _: str, body: Body) -> Reply:
        instrument = listed(OPENALGO, str(body.get("symbol")))
        if instrument is None or instrument.exchange != body.get("exchange"):
            return _error("Symbol not found")
        price = self._engine.market.quote(instrument)
        bid, ask = self._engine.market.sides(instrument)
        flat = dict.fromkeys(("ltp", "open", "high", "low", "prev_close"), exact(price))
        return _success({**flat, "bid": exact(bid), "ask": exact(ask), "volume": 0})


def _key_of(request: Request) -> tuple[str, dict[str, object]] | Reply:
    body = request.json()
    if body is None:
        return _error("The body must be a JSON object")
    key = body.get("apikey")
    return (key, body) if isinstance(key, str) and key else _error("Invalid openalgo apikey", 403)


def _with_key(request: Request, handler: Handler) -> Reply:
    entry = _key_of(request)
    return entry if isinstance(entry, Reply) else handler(*entry)


def _word(order: Order) -> str:
    waits = order.kind in (Kind.SL, Kind.SLM) and not order.triggered
    return _WORDS.get(order.status, "trigger pending" if waits else "open")


def _money(amount: Decimal) -> str:
    return str(amount.quantize(Decimal("0.01")))


def _success(data: object) -> Reply:
    return answer({"status": "success", "data": data})


def _done(order: Order) -> Reply:
    return answer({"status": "success", "orderid": str(order.broker_order_id)})


def _not_open(order: Order) -> Reply:
    return _error(f"The order can't be changed: it is {_word(order)}")


def _error(message: str, status: int = 400) -> Reply:
    return answer({"status": "error", "message": message}, status)


def _pong(_: str, __: Body) -> Reply:
    return _success({"broker": "paper", "message": "pong"})
