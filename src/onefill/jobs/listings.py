"""Brokers' lists of contracts → the store, once a day for each instrument. Source: PF-23.

A broker that is away is asked again soon; until then its last list counts, and then the rules.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date

import structlog

from onefill.core.errors import BrokerUnavailable
from onefill.core.ids import Epoch
from onefill.core.instrument import Instrument, Rules
from onefill.core.portfolio.contracts import unlike_the_rules
from onefill.ports.broker import Broker
from onefill.ports.jobs import Job
from onefill.ports.listings import ListingStore

JOB = "instrument_list"
_LOOK_EVERY_S = 600.0

log = structlog.get_logger()

BrokerOf = Callable[[str, str], Broker | None]


class Listings:
    """age_s: how old a list may become before it is asked for anew."""

    def __init__(
        self, store: ListingStore, broker_of: BrokerOf, rules: Rules, *, age_s: float
    ) -> None:
        self._store = store
        self._broker_of = broker_of
        self._rules = rules
        self._age_s = age_s

    @property
    def job(self) -> Job:
        """The job that looks whether a list has become old."""
        return Job(name=JOB, every_s=min(_LOOK_EVERY_S, self._age_s), work=self.renew)

    async def renew(self, epoch: Epoch) -> str:
        """Ask for what is old. Raises Fenced."""
        renewed, away = dict[str, int](), dict[str, str]()
        for name in await self._store.old(list(self._rules.instruments), self._age_s):
            instrument = self._rules.instruments[name]
            account = self._rules.accounts.get(instrument.broker, "paper")
            broker = self._broker_of(instrument.broker, account)
            if broker is None or instrument.broker in away:
                continue  # asked once in vain: other jobs wait behind this one
            try:
                listed = await broker.series(instrument)
            except BrokerUnavailable as error:
                log.warning("jobs.no_instrument_list", instrument=name, error=str(error))
                away[instrument.broker] = name
                continue
            await self._store.keep(epoch, name, broker.name, listed)
            renewed[name] = len(listed)
            self._tell(instrument, unlike_the_rules(listed, instrument, self._closed(instrument)))
        return json.dumps({"renewed": renewed, "away": list(away)})

    def _closed(self, instrument: Instrument) -> frozenset[date]:
        return self._rules.holidays.get(instrument.exchange, frozenset())

    def _tell(self, instrument: Instrument, differences: list[str]) -> None:
        for says in differences:
            log.warning("jobs.listed_unlike_the_rules", instrument=instrument.name, says=says)
