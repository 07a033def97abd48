"""A trading day that a test walks through: the database's clock and the exchange's doors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import asyncpg

from chaos.world import World
from onefill.config.holidays import Holidays
from onefill.core.market_hours import closes_after, next_open

EXCHANGE = "NFO"
HOURS = {"ONEFILL_MARKET_HOURS": "on", "ONEFILL_JOBS__ROLLOVER_EVERY_S": "1"}

# Found before PostgreSQL's own by whoever connects from now on, the product as well as its jobs.
_OWN_CLOCK = """
CREATE TABLE test_clock (ahead interval NOT NULL);
INSERT INTO test_clock VALUES ('0');
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT pg_catalog.clock_timestamp() + (SELECT ahead FROM test_clock)';
ALTER TABLE order_intents ALTER created_at SET DEFAULT public.clock_timestamp();
ALTER TABLE job_runs ALTER started_at SET DEFAULT public.clock_timestamp();
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog',
                   current_database());
END $$"""


@dataclass(frozen=True)
class MarketDay:
    """One session of Bank Nifty's options, and when the next one begins."""

    here: World
    closes: datetime
    reopens: datetime

    @classmethod
    async def on(cls, here: World, day: date) -> MarketDay:
        """The first session on or after that day; it is twelve minutes before its close."""
        holidays = Holidays({})[EXCHANGE]
        midnight = datetime.combine(day, time(), ZoneInfo("Asia/Kolkata"))
        closes = closes_after(EXCHANGE, next_open(EXCHANGE, midnight, holidays), holidays)
        assert closes is not None
        connection = await asyncpg.connect(here.database_url)
        await connection.execute(_OWN_CLOCK)
        await connection.close()
        found = cls(here, closes, next_open(EXCHANGE, closes, holidays))
        await found.it_is(closes - timedelta(minutes=12))
        return found

    async def it_is(self, moment: datetime) -> None:
        """Set the database's clock; it goes on from there."""
        await self.here.rows(
            "UPDATE test_clock SET ahead = $1::timestamptz - pg_catalog.clock_timestamp()", moment
        )

    async def close(self) -> None:
        """The exchange ends what rests there, and takes nothing; it is past its close."""
        await self._door(is_open=False)
        await self.it_is(self.closes + timedelta(minutes=1))

    async def reopen(self) -> None:
        """The next session has begun."""
        await self._door(is_open=True)
        await self.it_is(self.reopens + timedelta(seconds=1))

    async def turned_away(self) -> int:
        """How many orders came while it was closed."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.here.venue.url}/market") as answer,
        ):
            return int((await answer.json())["turned_away"])

    async def _door(self, *, is_open: bool) -> None:
        wish = {"exchange": EXCHANGE, "open": is_open}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.here.venue.url}/market", json=wish) as answer,
        ):
            assert answer.status == 200, await answer.text()

    async def shown(self, name: str) -> dict[str, Any]:
        """What that instance's API says of the one position that is not closed."""
        status, document = await self.here.ask(name, "/api/positions")
        assert status == 200
        (row,) = document["items"]
        return dict(row)

    def shown_moment(self, row: dict[str, Any]) -> datetime:
        """When the API says that the position goes on."""
        return datetime.fromisoformat(row["next_exit_at"]).astimezone(UTC)
