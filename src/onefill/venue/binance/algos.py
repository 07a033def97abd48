"""Binance's algo service: conditional orders, which the plain endpoint refuses with −4120."""

from __future__ import annotations

from collections.abc import Mapping

from onefill.core.money import ZERO, plain
from onefill.venue.binance import answers as shape
from onefill.venue.binance.answers import error, missing
from onefill.venue.binance.tickets import CLIENT_ID, page
from onefill.venue.clock import VenueClock
from onefill.venue.dialect import Work
from onefill.venue.engine import Circumstances, Engine
from onefill.venue.instruments import BINANCE, BINANCE_SYMBOLS
from onefill.venue.options import BrokerClass
from onefill.venue.orders import Algo, AlgoStatus, Order, Patience, PositionSide, Refusal, Side
from onefill.venue.wire import Reply, answer, decimal_of, integer_of

STOPS = ("STOP_MARKET", "STOP")
PROFITS = ("TAKE_PROFIT_MARKET", "TAKE_PROFIT")
_PRICED = ("STOP", "TAKE_PROFIT")
_WORKING = ("CONTRACT_PRICE", "MARK_PRICE")

Form = Mapping[str, str]


class BinanceAlgos:
    """Takes, shows and cancels orders that wait for their trigger price."""

    def __init__(self, engine: Engine, clock: VenueClock, broker_class: BrokerClass) -> None:
        self._engine = engine
        self._book = engine.book
        self._clock = clock
        self._class = broker_class

    def place(self, account: str, form: Form) -> Reply | Work:
        """Check the wish; the work is still to be done."""
        refused = _check(form)
        if refused is not None:
            return refused
        return lambda circumstances: self._wait(account, form, circumstances)

    def _wait(self, account: str, form: Form, circumstances: Circumstances) -> Reply:
        algo = _read(account, form, self._book.algos.next_id, self._clock.now_us())
        accepted = self._engine.wait(algo, circumstances)
        if isinstance(accepted, Refusal):
            return error(shape.REFUSALS[accepted])
        return answer(self.row(accepted))

    def query(self, account: str, form: Form) -> Reply:
        """One of them, waiting or not."""
        algo = self._find(account, form)
        if isinstance(algo, Reply):
            return algo
        return error(-2013) if algo is None else answer(self.row(algo))

    def cancel(self, account: str, form: Form) -> Reply:
        """Forget one that was not triggered yet."""
        algo = self._find(account, form)
        if isinstance(algo, Reply):
            return algo
        if algo is None or self._engine.cancel_waiting(algo) is not None:
            return error(-2011)
        row = self.row(algo)
        named = {name: row[name] for name in ("algoId", "clientAlgoId")}
        return answer({**named, "code": "200", "msg": "success"})

    def cancel_all(self, account: str, form: Form) -> Reply:
        """Forget all that wait in one symbol."""
        if form.get("symbol") not in BINANCE_SYMBOLS:
            return error(-1121) if form.get("symbol") else missing("symbol")
        for algo in list(self._book.algos.of(account, form["symbol"])):
            self._engine.cancel_waiting(algo)
        return answer({"code": 200, "msg": "The operation of cancel all open order is done."})

    def open(self, account: str, form: Form) -> Reply:
        """Those that wait."""
        algos = self._book.algos.of(account, form.get("symbol") or None)
        return answer([self.row(algo) for algo in algos if algo.is_waiting])

    def all(self, account: str, form: Form) -> Reply:
        """A symbol's, waiting or not."""
        if not form.get("symbol"):
            return missing("symbol")
        first = integer_of(form.get("algoId", 0)) or 0
        algos = self._book.algos.of(account, form["symbol"])
        found = [algo for algo in algos if algo.algo_id >= first]
        return answer([self.row(algo) for algo in page(found, form, "algoId")])

    def row(self, algo: Algo) -> dict[str, object]:
        """A conditional order as queries show it."""
        order = self._book.order(algo.account, algo.broker_order_id)
        return algo_row(algo, order, self._class.is_searchable)

    def _find(self, account: str, form: Form) -> Algo | Reply | None:
        if form.get("algoId"):
            return self._book.algos.one(account, integer_of(form["algoId"]))
        if not form.get("clientAlgoId"):
            return missing("algoId")
        if not self._class.is_searchable:
            return None
        return self._book.algos.by_client_id(account, form["clientAlgoId"])


def algo_row(algo: Algo, order: Order | None, shows_client_id: bool) -> dict[str, object]:
    """order: what it has become."""
    has_id = shows_client_id and algo.client_order_id
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_order_id if has_id else f"venue_{algo.algo_id}",
        "algoType": "CONDITIONAL",
        "orderType": order_type_of(algo),
        "symbol": algo.symbol,
        "side": str(algo.side),
        "positionSide": str(algo.position_side),
        "timeInForce": str(algo.patience),
        "quantity": plain(algo.quantity),
        "algoStatus": status_of(algo, order),
        "actualOrderId": str(order.broker_order_id) if order is not None else "",
        "actualPrice": plain(order.average_price) if order is not None else "0.00000",
        "triggerPrice": plain(algo.trigger_price),
        "price": plain(algo.price),
        "workingType": algo.working_type,
        "priceMatch": "NONE",
        "closePosition": algo.closes,
        "priceProtect": False,
        "reduceOnly": algo.reduce_only,
        "createTime": algo.received_at // 1_000,
        "updateTime": algo.updated_at // 1_000,
        "triggerTime": order.received_at // 1_000 if order is not None else 0,
        "goodTillDate": 0,
    }


def order_type_of(algo: Algo) -> str:
    """Its type in Binance's words."""
    at_market, priced = PROFITS if algo.takes_profit else STOPS
    return priced if algo.price else at_market


def status_of(algo: Algo, order: Order | None) -> str:
    """Its status in Binance's words: finished is whose order is over."""
    if algo.status is AlgoStatus.TRIGGERED and order is not None and not order.status.is_open:
        return "FINISHED"
    return str(algo.status)


def _check(form: Form) -> Reply | None:
    """The first thing that is wrong with the wish, in Binance's order of checks."""
    for name in ("algoType", "symbol", "side", "type", "triggerPrice"):
        if not form.get(name):
            return missing(name)
    closes = form.get("closePosition", "").lower() == "true"
    quantity, trigger = decimal_of(form.get("quantity")), decimal_of(form["triggerPrice"])
    if trigger is None or (quantity is None and not closes):
        return missing("triggerPrice" if trigger is None else "quantity")
    price = decimal_of(form.get("price"))
    if form["type"] in _PRICED and price is None:
        return missing("price")
    instrument = BINANCE_SYMBOLS.get(form["symbol"])
    if instrument is None:
        return error(-1121)
    client_id = form.get("clientAlgoId")
    checks = (
        (form["algoType"] == "CONDITIONAL", -1116),
        (form["side"] in list(Side), -1117),
        (form["type"] in (*STOPS, *PROFITS), -1116),
        (form.get("timeInForce", "GTC") in list(Patience), -1115),
        (form.get("workingType", "CONTRACT_PRICE") in _WORKING, -1128),
        (client_id is None or CLIENT_ID.fullmatch(client_id), -4015),
        (not (closes and (quantity or form.get("reduceOnly"))), -4136),
        (closes or (quantity or ZERO) > 0, -4003),
        (closes or instrument.fits(quantity or ZERO), -1111),
        (trigger > 0, -4006),
        (trigger % instrument.tick == 0, -4014),
        (price is None or price % instrument.tick == 0, -4014),
    )
    return next((error(code) for holds, code in checks if not holds), None)


def _read(account: str, form: Form, number: int, now_us: int) -> Algo:
    is_priced = form["type"] in _PRICED
    return Algo(
        algo_id=number,
        client_order_id=form.get("clientAlgoId", ""),
        dialect=BINANCE,
        account=account,
        symbol=form["symbol"],
        side=Side(form["side"]),
        quantity=decimal_of(form.get("quantity")) or ZERO,
        trigger_price=decimal_of(form["triggerPrice"]) or ZERO,
        received_at=now_us,
        updated_at=now_us,
        takes_profit=form["type"] in PROFITS,
        price=(decimal_of(form.get("price")) or ZERO) if is_priced else ZERO,
        patience=Patience(form.get("timeInForce", "GTC")) if is_priced else Patience.GTC,
        reduce_only=form.get("reduceOnly", "").lower() == "true",
        closes=form.get("closePosition", "").lower() == "true",
        position_side=PositionSide(form.get("positionSide", PositionSide.BOTH)),
        working_type=form.get("workingType", "CONTRACT_PRICE"),
    )
