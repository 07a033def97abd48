"""A program that keeps an embedded PostgreSQL, for tests to kill: `embedded_program.py DATA`.

Prints `ready PID URL` when it is up, or `refused ERROR`, and ends the server on SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from onefill.core.errors import OnefillError
from onefill.embedded.server import EmbeddedPostgres


async def main(data: Path) -> None:
    """Keep the server until SIGTERM."""
    told_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    try:
        async with EmbeddedPostgres(data) as server:
            print("ready", server.pid, server.url, flush=True)
            await told_to_end.wait()
    except OnefillError as error:
        print("refused", type(error).__name__, flush=True)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
