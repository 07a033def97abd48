"""The Binance USD-M futures dialect: signing, windows, order entry and look-ups."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onefill.core.money import ZERO
from onefill.venue.binance import answers as shape
from onefill.venue.binance.account import BinanceAccounts
from onefill.venue.binance.algos import BinanceAlgos
from onefill.venue.binance.answers import error, missing
from onefill.venue.binance.events import BinanceEvents
from onefill.venue.binance.gate import Gate, account_of
from onefill.venue.binance.reference import BinanceReference
from onefill.venue.binance.terms import BinanceTerms
from onefill.venue.binance.tickets import check_numbers, check_side, page, read_ticket
from onefill.venue.dialect import CANCEL, MARKET, MODIFY, PLACE, QUERY, Route, Routes, Work
from onefill.venue.engine import Change, Circumstances, Engine
from onefill.venue.faults import FaultKind
from onefill.venue.instruments import BINANCE, BINANCE_SYMBOLS
from onefill.venue.options import BrokerClass
from onefill.venue.orders import Kind, Order, Refusal, Ticket
from onefill.venue.rates import Turnstile
from onefill.venue.streams import Streams
from onefill.venue.wire import Reply, Request, answer, decimal_of, integer_of

Form = Mapping[str, str]
Handler = Callable[[str, Form], Reply]


class BinanceDialect:
    """Speaks the part of the API that order entry, look-ups and reconciliation need."""

    def __init__(
        self,
        engine: Engine,
        broker_class: BrokerClass,
        *,
        turnstile: Turnstile,
        streams: Streams,
    ) -> None:
        clock = engine.clock
        self._engine = engine
        self._book = engine.book
        self._gate = Gate(clock, broker_class)
        self._class = broker_class
        self._streams = streams
        engine.changed = BinanceEvents(engine.book, clock, broker_class, streams).changed
        algos = BinanceAlgos(engine, clock, broker_class)
        self._accounts = BinanceAccounts(engine, clock, turnstile)
        self.routes: Routes = {
            **self._routes(self._accounts),
            **self._algo_routes(algos),
            **self._stream_routes(),
            **self._term_routes(BinanceTerms(engine)),
            **self._reference_routes(BinanceReference(engine.market, clock)),
        }

    def facts(self, request: Request) -> dict[str, str]:
        """The parameters as sent, and the fields of the ledger that they name."""
        form = request.form()
        names = ("newClientOrderId", "origClientOrderId", "clientAlgoId")
        client_order_id = next((form[name] for name in names if form.get(name)), "")
        return {
            **form,
            "dialect": BINANCE,
            "account": account_of(request),
            "client_order_id": client_order_id,
            "broker_order_id": form.get("orderId") or form.get("algoId", ""),
        }

    def fault_reply(self, kind: FaultKind) -> Reply:
        """What Binance says when it fails in this way."""
        return shape.fault_reply(kind)

    def _signed_route(self, kind: str, handler: Handler) -> Route:
        return Route(kind, lambda request: self._signed(request, handler))

    def _reference_routes(self, reference: BinanceReference) -> Routes:
        return {
            ("GET", "/fapi/v1/depth"): Route(MARKET, reference.depth),
            ("GET", "/fapi/v1/ticker/24hr"): Route(MARKET, reference.day),
            ("GET", "/fapi/v1/leverageBracket"): self._signed_route(QUERY, reference.brackets),
            ("GET", "/fapi/v1/commissionRate"): self._signed_route(QUERY, reference.commission),
        }

    def _routes(self, accounts: BinanceAccounts) -> Routes:
        signed_route = self._signed_route
        orders = "/fapi/v1/order"
        account = signed_route(QUERY, accounts.account)
        balance = signed_route(QUERY, accounts.balance)
        return {
            ("GET", "/fapi/v1/ping"): Route(MARKET, lambda _: answer({})),
            ("GET", "/fapi/v1/time"): Route(MARKET, accounts.time),
            ("GET", "/fapi/v1/exchangeInfo"): Route(MARKET, accounts.exchange_information),
            ("GET", "/fapi/v1/ticker/price"): Route(MARKET, accounts.ticker),
            ("GET", "/fapi/v2/ticker/price"): Route(MARKET, accounts.ticker),
            ("GET", "/fapi/v1/ticker/bookTicker"): Route(MARKET, accounts.book_ticker),
            ("GET", "/fapi/v1/premiumIndex"): Route(MARKET, accounts.mark),
            ("POST", orders): Route(PLACE, self._place),
            ("GET", orders): signed_route(QUERY, self._query),
            ("PUT", orders): signed_route(MODIFY, self._modify),
            ("DELETE", orders): signed_route(CANCEL, self._cancel),
            ("DELETE", "/fapi/v1/allOpenOrders"): signed_route(CANCEL, self._cancel_all),
            ("GET", "/fapi/v1/openOrder"): signed_route(QUERY, self._open_order),
            ("GET", "/fapi/v1/openOrders"): signed_route(QUERY, self._open_orders),
            ("GET", "/fapi/v1/allOrders"): signed_route(QUERY, self._all_orders),
            ("GET", "/fapi/v1/userTrades"): signed_route(QUERY, self._trades),
            ("GET", "/fapi/v2/positionRisk"): signed_route(QUERY, accounts.positions),
            ("GET", "/fapi/v3/positionRisk"): signed_route(QUERY, accounts.held_positions),
            ("GET", "/fapi/v2/account"): account,
            ("GET", "/fapi/v3/account"): account,
            ("GET", "/fapi/v2/balance"): balance,
            ("GET", "/fapi/v3/balance"): balance,
            ("GET", "/fapi/v1/symbolConfig"): signed_route(QUERY, accounts.configuration),
        }

    def _algo_routes(self, algos: BinanceAlgos) -> Routes:
        signed_route, one = self._signed_route, "/fapi/v1/algoOrder"
        return {
            ("POST", one): Route(PLACE, lambda request: self._place_algo(request, algos)),
            ("GET", one): signed_route(QUERY, algos.query),
            ("DELETE", one): signed_route(CANCEL, algos.cancel),
            ("DELETE", "/fapi/v1/algoOpenOrders"): signed_route(CANCEL, algos.cancel_all),
            ("GET", "/fapi/v1/openAlgoOrders"): signed_route(QUERY, algos.open),
            ("GET", "/fapi/v1/allAlgoOrders"): signed_route(QUERY, algos.all),
        }

    def _term_routes(self, terms: BinanceTerms) -> Routes:
        signed_route, mode = self._signed_route, "/fapi/v1/positionSide/dual"
        return {
            ("GET", mode): signed_route(QUERY, terms.mode),
            ("POST", mode): signed_route(QUERY, terms.set_mode),
            ("POST", "/fapi/v1/leverage"): signed_route(QUERY, terms.set_leverage),
            ("POST", "/fapi/v1/marginType"): signed_route(QUERY, terms.set_margin_type),
        }

    def _stream_routes(self) -> Routes:
        """A key needs no signature: whoever has the account's key may listen."""
        path = "/fapi/v1/listenKey"
        return {
            ("POST", path): Route(QUERY, self._open_stream),
            ("PUT", path): Route(QUERY, self._prolong_stream),
            ("DELETE", path): Route(QUERY, self._end_stream),
        }

    def _open_stream(self, request: Request) -> Reply:
        return answer({"listenKey": self._streams.key_of(account_of(request))})

    def _prolong_stream(self, request: Request) -> Reply:
        key = self._streams.prolong(account_of(request))
        return error(-1125) if key is None else answer({"listenKey": key})

    def _end_stream(self, request: Request) -> Reply:
        self._streams.end_key(account_of(request))
        return answer({})

    # Who asks, and whether in time

    def _signed(self, request: Request, handler: Handler) -> Reply:
        form = request.form()
        refused = self._gate.refusal(request, form)
        return handler(account_of(request), form) if refused is None else refused

    # Orders

    def _place(self, request: Request) -> Reply | Work:
        form = request.form()
        refused = self._refusal(request, form)
        if refused is not None:
            return refused
        ticket = read_ticket(account_of(request), form, request.received_at, self._engine.market)
        if isinstance(ticket, Reply):
            return ticket
        if self._accounts.lacks_margin(ticket):
            return error(-2019)
        wants_result = form.get("newOrderRespType", "ACK").upper() == "RESULT"
        return lambda circumstances: self._execute(ticket, wants_result, circumstances)

    def _refusal(self, request: Request, form: Form) -> Reply | None:
        """Why no order is taken at all: the gate's reasons, then the position mode's."""
        hedged = self._book.terms_of(account_of(request), "").hedged
        return self._gate.refusal(request, form) or check_side(form, hedged)

    def _place_algo(self, request: Request, algos: BinanceAlgos) -> Reply | Work:
        form = request.form()
        refused = self._refusal(request, form)
        return refused if refused is not None else algos.place(account_of(request), form)

    def _execute(self, ticket: Ticket, wants_result: bool, circumstances: Circumstances) -> Reply:
        order = self._engine.place(ticket, circumstances)
        if isinstance(order, Refusal):
            return error(shape.REFUSALS[order])
        row = shape.order_row if wants_result else shape.acknowledgement
        return answer(row(order, self._class.is_searchable))

    def _query(self, account: str, form: Form) -> Reply:
        order = self._find(account, form)
        if order is None:
            return error(-2013)
        return order if isinstance(order, Reply) else answer(self._row(order))

    def _cancel(self, account: str, form: Form) -> Reply:
        order = self._find(account, form)
        if isinstance(order, Reply):
            return order
        if order is None or self._engine.cancel(order) is not None:
            return error(-2011)
        return answer(self._row(order))

    def _cancel_all(self, account: str, form: Form) -> Reply:
        if form.get("symbol") not in BINANCE_SYMBOLS:
            return error(-1121) if form.get("symbol") else missing("symbol")
        for order in list(self._book.open_orders_of(account, form["symbol"])):
            self._engine.cancel(order)
        return answer({"code": 200, "msg": "The operation of cancel all open order is done."})

    def _modify(self, account: str, form: Form) -> Reply:
        order = self._find(account, form)
        quantity, price = decimal_of(form.get("quantity")), decimal_of(form.get("price"))
        if isinstance(order, Reply):
            return order
        if quantity is None or price is None:
            return missing("quantity" if quantity is None else "price")
        if order is None or order.kind is not Kind.LIMIT:
            return error(-2013)
        wished = Ticket(
            client_order_id=order.client_order_id,
            dialect=BINANCE,
            account=account,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            price=price,
            kind=Kind.LIMIT,
            reduce_only=order.reduce_only,
            received_at=order.received_at,
        )
        refused = check_numbers(wished, BINANCE_SYMBOLS[order.symbol], price)
        if refused is not None:
            return refused
        change = Change(quantity=quantity, price=price, trigger_price=ZERO, kind=Kind.LIMIT)
        refusal = self._engine.modify(order, change)
        return answer(self._row(order)) if refusal is None else error(shape.REFUSALS[refusal])

    def _find(self, account: str, form: Form) -> Order | Reply | None:
        """The order that the form names; the broker's id wins over the client's."""
        if form.get("symbol") not in BINANCE_SYMBOLS:
            return error(-1121) if form.get("symbol") else missing("symbol")
        if form.get("orderId"):
            order = self._book.order(account, integer_of(form["orderId"]))
        elif form.get("origClientOrderId"):
            searchable = self._class.is_searchable
            name = form["origClientOrderId"]
            order = self._book.by_client_id(account, name) if searchable else None
        else:
            return missing("orderId")
        is_its = order is not None and order.symbol == form["symbol"]
        return order if is_its and order is not None and order.dialect == BINANCE else None

    def _row(self, order: Order) -> dict[str, object]:
        return shape.order_row(order, self._class.is_searchable)

    # Lists

    def _open_order(self, account: str, form: Form) -> Reply:
        order = self._find(account, form)
        if isinstance(order, Reply):
            return order
        is_open = order is not None and order.status.is_open
        return answer(self._row(order)) if order is not None and is_open else error(-2013)

    def _open_orders(self, account: str, form: Form) -> Reply:
        orders = self._book.open_orders_of(account, form.get("symbol") or None)
        return answer([self._row(order) for order in orders if order.dialect == BINANCE])

    def _all_orders(self, account: str, form: Form) -> Reply:
        if not form.get("symbol"):
            return missing("symbol")
        first = integer_of(form.get("orderId", 0)) or 0
        orders = self._book.orders_of(account, form["symbol"])
        found = [order for order in orders if order.broker_order_id >= first]
        return answer([self._row(order) for order in page(found, form, "orderId")])

    def _trades(self, account: str, form: Form) -> Reply:
        if not form.get("symbol"):
            return missing("symbol")
        first = integer_of(form.get("fromId", 0)) or 0
        since_ms = integer_of(form.get("startTime", 0)) or 0
        order_id = integer_of(form.get("orderId"))
        found = [
            trade
            for trade in self._book.trades_of(account, form["symbol"])
            if trade.execution_id >= first
            and trade.at >= since_ms * 1_000
            and order_id in (None, trade.broker_order_id)
        ]
        return answer(shape.trade_rows(page(found, form, "fromId")))
