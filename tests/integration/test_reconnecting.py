"""How connections come back after their server was away: ever less often tried, and together."""

from __future__ import annotations

import asyncio

import pytest

from onefill.core.errors import StoreUnavailable
from onefill.ports.clock import RealClock
from onefill.postgres.connection import Held, Surroundings
from trading_support import PostgresAuthority, holder
from wires import wire_to_postgres

A, B = holder("a"), holder("b")


class StandingClock(RealClock):
    """Boot time that moves only by hand."""

    now_ms = 0.0

    def boottime_ms(self) -> float:
        """What was set."""
        return self.now_ms


@pytest.mark.req("IF-9")
async def test_a_server_that_is_away_is_tried_ever_less_often(database_url: str) -> None:
    """The clock stands still, so that only what was let in at once is let in at all."""
    tried = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tried
        tried += 1
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    clock = StandingClock()
    port = server.sockets[0].getsockname()[1]
    connecting = PostgresAuthority(f"postgresql://u@127.0.0.1:{port}/d?sslmode=disable").connecting(
        A
    )
    held = Held(connecting, Surroundings(clock, lambda: 0.5))
    seen = []
    for _ in range(400):
        with pytest.raises(StoreUnavailable):
            await held.read("SELECT 1")
        seen.append(tried)
        clock.now_ms += 10
    gaps = [b - a for a, b in zip(starts(seen), starts(seen)[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert gaps[-1] * 10 <= connecting.backoff_max_ms
    assert len(gaps) < 16
    server.close()


@pytest.mark.req("OPS-3")
async def test_what_one_connection_has_reached_no_other_waits_any_longer_for(
    database_url: str,
) -> None:
    """The clock stands still: only the neighbour's success can end the wait."""
    async with wire_to_postgres(database_url) as (wire, url):
        clock = StandingClock()
        around = Surroundings(clock, lambda: 0.5)
        first, second = (Held(PostgresAuthority(url).connecting(me), around) for me in (A, B))
        wire.cut()
        with pytest.raises(StoreUnavailable):
            await first.read("SELECT 1")
        wire.mend()
        with pytest.raises(StoreUnavailable, match="backing off"):
            await first.read("SELECT 1")
        clock.now_ms += 1
        await second.read("SELECT 1")
        await first.read("SELECT 1")
        await first.close()
        await second.close()


def starts(seen: list[int]) -> list[int]:
    """At which calls a new attempt was made."""
    return [0, *(n for n in range(1, len(seen)) if seen[n] > seen[n - 1])]
