"""Orders that wait for their trigger price, with the indexes that the look-ups need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from onefill.core.errors import invariant
from onefill.venue.instruments import instrument_of
from onefill.venue.orders import FIRST_ALGO_ID, Algo


class Algos:
    """All conditional orders that the ledger tells of. Only `keep` changes them."""

    def __init__(self) -> None:
        self._all: dict[int, Algo] = {}
        self._by_client: dict[tuple[str, str], Algo] = {}
        self._by_order: dict[int, Algo] = {}
        self._waiting: defaultdict[str, dict[int, Algo]] = defaultdict(dict)

    @property
    def next_id(self) -> int:
        """The id that the next conditional order gets."""
        return FIRST_ALGO_ID + len(self._all)

    def keep(self, algo: Algo) -> None:
        """Take in one as an entry of the ledger has it, new or read back."""
        if algo.algo_id not in self._all:
            invariant(algo.algo_id == self.next_id, "ids have no gaps", algo=algo.algo_id)
        self._all[algo.algo_id] = algo
        if algo.client_order_id:
            self._by_client[algo.account, algo.client_order_id] = algo
        if algo.broker_order_id is not None:
            self._by_order[algo.broker_order_id] = algo
        waiting = self._waiting[instrument_of(algo.dialect, algo.symbol).source]
        waiting.pop(algo.algo_id, None)
        if algo.is_waiting:
            waiting[algo.algo_id] = algo

    def one(self, account: str, algo_id: int | None) -> Algo | None:
        """The account's conditional order with this id."""
        algo = self._all.get(algo_id) if algo_id is not None else None
        return algo if algo is not None and algo.account == account else None

    def by_client_id(self, account: str, client_order_id: str) -> Algo | None:
        """The account's latest with this client id."""
        return self._by_client.get((account, client_order_id))

    def that_became(self, broker_order_id: int) -> Algo | None:
        """The one that became this order when it was triggered."""
        return self._by_order.get(broker_order_id)

    def of(self, account: str, symbol: str | None = None) -> Iterable[Algo]:
        """The account's conditional orders in one symbol or in all, oldest first."""
        for algo in self._all.values():
            if algo.account == account and symbol in (None, algo.symbol):
                yield algo

    def waiting_on(self, source: str) -> list[Algo]:
        """Those that a move of this source may trigger, oldest first."""
        return sorted(self._waiting.get(source, {}).values(), key=lambda algo: algo.algo_id)

    def closing(self, like: Algo) -> Algo | None:
        """One that waits to close the same position from the same side in the same way."""
        return next(
            (
                algo
                for algo in self.of(like.account, like.symbol)
                if algo.is_waiting
                and algo.closes
                and (algo.side, algo.takes_profit) == (like.side, like.takes_profit)
            ),
            None,
        )
