"""A leader that stops (SIGSTOP) inside a guarded transaction: argument 1 is the database."""

from __future__ import annotations

import asyncio
import sys

from onefill.ports import failpoints
from trading_support import PostgresAuthority, buy, decide, exits, holder, lead, log_all


async def main() -> None:
    """Lead, say so, and stop just before the commit of a decision."""
    me = holder("stopped")
    authority = PostgresAuthority(sys.argv[1])
    epoch = await lead(authority, me)
    store = authority.trading(me)
    signal = buy("SIM001", await store.now(), "o")
    await log_all(authority.signals(me), signal)
    print(epoch, flush=True)
    failpoints.arm("decide_before_commit:1:stop")
    await store.decide(epoch, [signal.lane], decide, exits)


asyncio.run(main())
