"""What a change of the book looks like in Binance's user stream."""

from __future__ import annotations

from collections.abc import Iterator

from onefill.core.money import ZERO, plain
from onefill.venue.binance.algos import order_type_of, status_of
from onefill.venue.book import Book
from onefill.venue.clock import VenueClock
from onefill.venue.instruments import BINANCE
from onefill.venue.options import BrokerClass
from onefill.venue.orders import Algo, Entry, Execution, Order, Status
from onefill.venue.streams import Streams

Event = dict[str, object]


class BinanceEvents:
    """Tells accounts of their orders, conditional orders and positions, in order of happening."""

    def __init__(
        self, book: Book, clock: VenueClock, broker_class: BrokerClass, streams: Streams
    ) -> None:
        self._book = book
        self._clock = clock
        self._shows_client_id = broker_class.is_searchable
        self._streams = streams
        self._next_id = book.next_order_id

    def changed(self, entry: Entry) -> None:
        """Tell of an entry that the book has taken in."""
        for algo in entry.algos:
            if self._streams.has_listeners(algo.account):
                order = self._book.order(algo.account, algo.broker_order_id)
                self._tell(algo.account, self._algo(algo, order, str(algo.status)))
        for order in entry.orders:
            is_new = order.broker_order_id >= self._next_id
            self._next_id = max(self._next_id, order.broker_order_id + 1)
            if order.dialect != BINANCE or not self._streams.has_listeners(order.account):
                continue
            mine = [e for e in entry.executions if e.broker_order_id == order.broker_order_id]
            for event in self._happened(order, mine, is_new):
                self._tell(order.account, event)
            self._after(order, mine)

    def _tell(self, account: str, event: Event) -> None:
        self._streams.tell(account, event)

    def _happened(self, order: Order, executions: list[Execution], is_new: bool) -> Iterator[Event]:
        if is_new:
            yield self._order(order, "NEW", "NEW", "0")
        for execution in executions:
            status = Status.PARTIALLY_FILLED if order.remaining else Status.FILLED
            filled = plain(order.filled_quantity)
            yield self._order(order, "TRADE", str(status), filled, execution)
        if not order.status.is_open and order.status is not Status.FILLED:
            kind = str(order.status)
            yield self._order(order, kind, kind, plain(order.filled_quantity))

    def _after(self, order: Order, executions: list[Execution]) -> None:
        if executions:
            self._tell(order.account, self._account(order))
        algo = self._book.algos.that_became(order.broker_order_id)
        if algo is not None and not order.status.is_open:
            self._tell(order.account, self._algo(algo, order, status_of(algo, order)))

    def _order(
        self,
        order: Order,
        kind: str,
        status: str,
        filled: str,
        execution: Execution | None = None,
    ) -> Event:
        now_ms = self._clock.now_ms()
        has_id = self._shows_client_id and order.client_order_id
        traded = {
            "l": plain(execution.quantity) if execution else "0",
            "L": plain(execution.price) if execution else "0",
            "t": execution.execution_id if execution else 0,
        }
        told: Event = {
            "s": order.symbol,
            "c": order.client_order_id if has_id else f"venue_{order.broker_order_id}",
            "S": str(order.side),
            "o": str(order.kind),
            "f": str(order.patience),
            "q": plain(order.quantity),
            "p": plain(order.price),
            "ap": plain(order.average_price if filled != "0" else ZERO),
            "sp": "0",
            "x": kind,
            "X": status,
            "i": order.broker_order_id,
            "z": filled,
            "n": "0",
            "N": "USDT",
            "T": now_ms,
            "m": False,
            "R": order.reduce_only,
            "wt": "CONTRACT_PRICE",
            "ot": str(order.kind),
            "ps": str(order.position_side),
            "cp": False,
            "rp": "0",
            **traded,
        }
        return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": now_ms, "o": told}

    def _algo(self, algo: Algo, order: Order | None, status: str) -> Event:
        now_ms = self._clock.now_ms()
        has_id = self._shows_client_id and algo.client_order_id
        told: Event = {
            "caid": algo.client_order_id if has_id else f"venue_{algo.algo_id}",
            "aid": algo.algo_id,
            "at": "CONDITIONAL",
            "o": order_type_of(algo),
            "s": algo.symbol,
            "S": str(algo.side),
            "ps": str(algo.position_side),
            "f": str(algo.patience),
            "q": plain(algo.quantity),
            "X": status,
            "ai": str(order.broker_order_id) if order is not None else "",
            "ap": plain(order.average_price) if order is not None else "0",
            "aq": plain(order.filled_quantity) if order is not None else "0",
            "act": str(order.kind) if order is not None else "0",
            "tp": plain(algo.trigger_price),
            "p": plain(algo.price),
            "wt": algo.working_type,
            "cp": algo.closes,
            "R": algo.reduce_only,
        }
        return {"e": "ALGO_UPDATE", "E": now_ms, "T": now_ms, "o": told}

    def _account(self, order: Order) -> Event:
        now_ms = self._clock.now_ms()
        position = self._book.positions[order.account, order.symbol, order.position_side]
        held = {
            "s": order.symbol,
            "pa": plain(position.quantity),
            "ep": plain(position.entry_price),
            "cr": plain(position.realised),
            "up": "0",
            "mt": "cross",
            "iw": "0",
            "ps": str(order.position_side),
        }
        changed = {"m": "ORDER", "B": [], "P": [held]}
        return {"e": "ACCOUNT_UPDATE", "E": now_ms, "T": now_ms, "a": changed}
