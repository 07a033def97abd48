"""A database, the paper venue, one instance, and a sender that never gives up."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

import support
from chaos.judge import Evidence, judge
from chaos.processes import Server

SECRET = "chaos-secret-4f1d"
OPERATOR = "chaos-operator-77aa"
PATIENT = {
    "ONEFILL_LEASE__TTL_MS": "4000",
    "ONEFILL_LEASE__GIVE_UP_MS": "3000",
    "ONEFILL_LEASE__CALL_TIMEOUT_MS": "1000",
}
"""On a machine that does much else, nobody shall be thought dead who is only slow."""


@dataclass(frozen=True)
class World:
    """What a scenario drives. The environment is the instance's, the same at each start."""

    database_url: str
    venue: Server
    instance: Server
    environment: Mapping[str, str]
    folder: Path
    instances: dict[str, Server]

    def __getitem__(self, name: str) -> Server:
        """The instance of that name, made when it is first asked for."""
        if name not in self.instances:
            self.instances[name] = instance_server(name, self.folder)
        return self.instances[name]

    async def run(self, *names: str, **variables: str) -> None:
        """Start these instances, the first one preferred, and wait until all are ready.

        It has a head start: the others leave it no more than five seconds to lead before them.
        """
        for name in names:
            preferred = "true" if name == names[0] else "false"
            self[name].start(
                {**self.environment, "ONEFILL_ACTIVE_BY_DEFAULT": preferred, **variables}
            )
            if name == names[0] and len(names) > 1:
                await self[name].listens()
        for name in names:
            await self[name].up()

    async def ask(self, name: str, path: str, body: object = None) -> tuple[int, Any]:
        """One call of an instance's API by the operator; the status and the document."""
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        method = "GET" if body is None else "POST"
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, self[name].url + path, json=body) as response,
        ):
            return response.status, await response.json()

    async def status(self, name: str) -> dict[str, Any]:
        """How an instance says that it stands; it can always say so (CTL-7)."""
        code, document = await self.ask(name, "/api/ginie/instance-status")
        assert code == 200, document
        return dict(document)

    async def told(self, name: str, *arguments: str) -> str:
        """What the command line says, with these arguments, at that instance."""
        command = [sys.executable, "-m", "onefill", *arguments, "--url", self[name].url]
        surroundings = support.environment(ONEFILL_OPERATOR_TOKEN=OPERATOR, COLUMNS="200")
        done = await asyncio.to_thread(
            subprocess.run, command, env=surroundings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return str(done.stdout)

    async def until_active(self, name: str, seconds: float = 60) -> None:
        """Wait until that instance is able to act."""

        async def active() -> bool:
            return bool((await self.status(name))["is_active"])

        await support.until(active, seconds)

    async def until_not_active(self, name: str, seconds: float = 60) -> None:
        """Wait until that instance says that it doesn't act: by its own deadline, at the latest."""

        async def not_active() -> bool:
            return not (await self.status(name))["is_active"]

        await support.until(not_active, seconds)

    async def until_follows(self, name: str, leader: str) -> None:
        """Wait until the one says that it follows the other."""

        async def follows() -> bool:
            seen = await self.status(name)
            return (seen["state"], seen["active_instance"]) == ("STANDBY", leader)

        await support.until(follows)

    async def judge(self, seconds: float = 90, **expected: Any) -> Evidence:
        """Let everything come to rest, and have it judged; see chaos.judge."""
        await self.until_all_ended(seconds)
        await self.until_told()
        return await judge(self.database_url, self.venue.url, **expected)

    async def until_told(self) -> None:
        """Wait until the history, which is written beside the way, has come to its end."""

        async def told() -> bool:
            (seen,) = await self.rows(
                "SELECT max(h.epoch) = max(l.epoch) "
                "AND bool_and(h.released_at IS NOT NULL OR h.epoch = l.epoch) AS whole "
                "FROM leadership_history h JOIN leases l USING (resource)"
            )
            return bool(seen["whole"])

        await support.until(told)

    async def reigns(self) -> list[dict[str, Any]]:
        """Who led, in order, as the history has it."""
        return await self.rows("SELECT * FROM leadership_history ORDER BY epoch")

    def start(self, **variables: str) -> None:
        """Start the instance, with these variables on top."""
        self.instance.start({**self.environment, **variables})

    async def restart(self, **variables: str) -> None:
        """Kill it if it lives, start it, wait until it is ready."""
        self.instance.kill()
        self.start(**variables)
        await self.instance.up()

    async def ledger(self) -> dict[str, list[dict[str, Any]]]:
        """Everything the venue ever executed."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.venue.url}/ledger") as response,
        ):
            return dict(await response.json())

    async def fault(self, **fault: object) -> None:
        """Arm a fault at the venue."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.venue.url}/faults", json=fault) as response,
        ):
            assert response.status < 300, await response.text()

    async def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        """Rows straight from the database."""
        connection = await asyncpg.connect(self.database_url)
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def until_all_ended(self, seconds: float = 90) -> None:
        """Wait until every signal has an end status."""
        ends = ["executed", "ignored", "rejected", "blocked", "expired", "failed"]
        query = "SELECT count(*) FROM signal_log WHERE processing_status <> ALL($1)"

        async def ended() -> bool:
            return bool((await self.rows(query, ends))[0]["count"] == 0)

        await support.until(ended, seconds)


@asynccontextmanager
async def world(
    database_url: str,
    folder: Path,
    *,
    order_class: str = "B",
    lag_ms: int = 200,
    is_patient: bool = True,
    **more: str,
) -> AsyncIterator[World]:
    """A running venue and an instance that is not started yet; both are gone afterwards.

    is_patient: who leads changes only where the test makes it change, however slow the machine is;
    else the lease has the times that the product gives it.
    """
    venue_port = support.free_port()
    venue = Server(
        [
            "exchange",
            "--port",
            str(venue_port),
            "--data",
            str(folder / "venue"),
            "--class",
            order_class,
            "--lag",
            str(lag_ms),
        ],
        f"http://127.0.0.1:{venue_port}",
        "/healthz",
        folder / "venue.log",
    )
    instance = instance_server("prod", folder)
    environment = {
        "ONEFILL_DATABASE_URL": database_url,
        "ONEFILL_VENUE_URL": venue.url,
        "ONEFILL_WEBHOOK_SECRET": SECRET,
        "ONEFILL_OPERATOR_TOKEN": OPERATOR,
        "ONEFILL_RATE_LIMIT": "off",
        "ONEFILL_MARKET_HOURS": "off",
        "ONEFILL_QUOTES__ASK": "false",
        "ONEFILL_LOG_FORMAT": "json",
        "ONEFILL_ACTIVE_BY_DEFAULT": "true",
        "ONEFILL_MAX_AGE_S": "600",
        "ONEFILL_BROKERS__BINANCE__RECV_WINDOW_MS": "1000",
        "ONEFILL_ORDERS__SEND_WITHIN_MS": "1000",
        "ONEFILL_ORDERS__QUARANTINE_AFTER_S": "2",
        **(PATIENT if is_patient else {}),
        **more,
    }
    here = World(database_url, venue, instance, environment, folder, {"prod": instance})
    venue.start()
    try:
        await venue.up()
        yield here
    finally:
        for server in here.instances.values():
            server.kill()
        venue.kill()


def instance_server(name: str, folder: Path) -> Server:
    """An instance that is not started yet, with a port and a log of its own."""
    port = support.free_port()
    return Server(
        ["serve", "--port", str(port), "--instance-id", name, "--data", str(folder / name)],
        f"http://127.0.0.1:{port}",
        "/ready",
        folder / f"{name}.log",
    )


def direct(order_id: str, ticker: str, *, action: str = "buy", contracts: int = 1) -> bytes:
    """The least body of the direct policy, of this moment."""
    return json.dumps(
        {
            "secret": SECRET,
            "action": action,
            "ticker": ticker,
            "contracts": contracts,
            "timestamp": datetime.now(UTC).isoformat(),
            "order_id": order_id,
        }
    ).encode()


async def send_until_accepted(
    session: aiohttp.ClientSession, url: str, body: bytes, seconds: float = 120
) -> dict[str, Any]:
    """Post like a sender that repeats on 5xx and on a broken connection; the 2xx answer."""

    async def accepted() -> dict[str, Any] | None:
        try:
            async with session.post(f"{url}/webhook", data=body) as response:
                if response.status < 300:
                    return dict(await response.json())
                assert response.status >= 500, (response.status, await response.text())
        except (aiohttp.ClientError, TimeoutError):
            return None
        return None

    answer = await support.until(accepted, seconds)
    assert answer is not None
    return answer


def executions_by_order(ledger: Mapping[str, Sequence[Mapping[str, Any]]]) -> Counter[str]:
    """How often each client order id was executed at the venue: orders, not partial fills."""
    orders = [o for o in ledger["orders"] if float(o["filled_quantity"]) > 0]
    return Counter(str(order["client_order_id"]) for order in orders)
