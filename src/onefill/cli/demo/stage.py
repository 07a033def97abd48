"""What a demonstration stands on: a database, a venue and two instances, each a process."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import onefill
from onefill.cli.client import Answer, Client
from onefill.cli.errors import Refused, Unreachable
from onefill.embedded.process import Supervised
from onefill.embedded.server import EmbeddedPostgres
from onefill.embedded.valkey import url_where_there_is_one
from onefill.ports.clock import Clock

HOST = "127.0.0.1"
_START_LIMIT_S = 30.0
_POLL_S = 0.05
_RESTART_S = 0.2
_NOT_NOW = 503

Died = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Keys:
    """Secrets for one demonstration."""

    webhook: str
    operator: str


class Anyone(Client):
    """Asks one instance after the other until one answers."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self.url = clients[0].url
        self._clients = clients

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
    ) -> Answer:
        """The first answer that is not «not now». Raises Unreachable when there is none."""
        failed: Unreachable | None = None
        for client in self._clients:
            try:
                answer = client.ask(method, path, body=body, query=query)
            except Unreachable as error:
                failed = error
            else:
                if answer.status != _NOT_NOW or client is self._clients[-1]:
                    return answer
        raise failed or Unreachable("nobody answers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where each process listens."""

    prod: int
    dev: int
    venue: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs. prod, dev: the instances; each comes back whenever it dies."""

    folder: Path
    keys: Keys
    venue: Supervised
    prod: Supervised
    dev: Supervised
    venue_client: Client
    prod_client: Client
    dev_client: Client

    @property
    def anyone(self) -> Client:
        """Whichever instance answers, prod first, as a proxy before both would choose."""
        return Anyone((self.prod_client, self.dev_client))

    def kill_active(self) -> str | None:
        """SIGKILL the instance that is active, and say which; None when none is just now."""
        for name, process, client in (
            ("prod", self.prod, self.prod_client),
            ("dev", self.dev, self.dev_client),
        ):
            try:
                is_active = client.ask("GET", "/primary").is_good
            except Unreachable:
                continue
            if is_active and process.pid is not None:
                os.kill(process.pid, signal.SIGKILL)
                return name
        return None


@asynccontextmanager
async def stage(data: Path | None, ports: Ports, clock: Clock, died: Died) -> AsyncIterator[Stage]:
    """Start all, and end all in any case. data: None is a temporary folder, removed afterwards.

    died: told the name and exit code of whatever ended by itself; it is started again.
    """
    folder = data or Path(tempfile.mkdtemp(prefix="onefill-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        async with (
            EmbeddedPostgres(folder / "postgres") as postgres,
            url_where_there_is_one(folder / "valkey") as redis_url,
        ):
            built = _build(folder.resolve(), (postgres.url, redis_url), ports, died)
            try:
                await _start(built, clock)
                yield built
            finally:
                await built.dev.stop()
                await built.prod.stop()
                await built.venue.stop()
    finally:
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)


def free_port(wanted: int) -> int:
    """The wanted port of this machine, or another one where it is taken."""
    for port in (wanted, 0):
        try:
            with socket.create_server((HOST, port)) as probe:
                return int(probe.getsockname()[1])
        except OSError:
            continue
    raise Refused("no port is free on 127.0.0.1")


def _build(folder: Path, urls: tuple[str, str], ports: Ports, died: Died) -> Stage:
    """urls: of PostgreSQL and of Redis, empty for none."""
    database_url, redis_url = urls
    keys = Keys(webhook=secrets.token_urlsafe(24), operator=secrets.token_urlsafe(24))
    venue_url = f"http://{HOST}:{ports.venue}"
    settings = folder / "onefill.toml"
    settings.touch()
    environment = _environment(
        ONEFILL_CONFIG=str(settings),
        ONEFILL_DATABASE_URL=database_url,
        ONEFILL_REDIS_URL=redis_url,
        ONEFILL_VENUE_URL=venue_url,
        ONEFILL_WEBHOOK_SECRET=keys.webhook,
        ONEFILL_OPERATOR_TOKEN=keys.operator,
        ONEFILL_MARKET_HOURS="off",
        ONEFILL_RATE_LIMIT="off",
        ONEFILL_LOG_FORMAT="json",
    )

    def on_exit(name: str, code: int) -> float:
        died(name, code)
        return _RESTART_S

    def child(name: str, *arguments: str, **variables: str) -> Supervised:
        with (folder / f"{name}.log").open("ab") as log:
            output = os.fdopen(os.dup(log.fileno()), "ab")
        argv = [sys.executable, "-m", "onefill", *arguments, "--host", HOST]
        return Supervised(name, argv, {**environment, **variables}, on_exit, output)

    def instance(name: str, port: int, preferred: str) -> Supervised:
        serve = ("serve", "--port", str(port), "--instance-id", name)
        data = ("--data", str(folder / name))
        return child(name, *serve, *data, ONEFILL_ACTIVE_BY_DEFAULT=preferred)

    def client(port: int) -> Client:
        return Client(f"http://{HOST}:{port}", token=keys.operator, timeout_s=5)

    return Stage(
        folder=folder,
        keys=keys,
        venue=child(
            "venue", "exchange", "--port", str(ports.venue), "--data", str(folder / "venue")
        ),
        prod=instance("prod", ports.prod, "true"),
        dev=instance("dev", ports.dev, "false"),
        venue_client=Client(venue_url, timeout_s=5),
        prod_client=client(ports.prod),
        dev_client=client(ports.dev),
    )


def _environment(**settings: str) -> Mapping[str, str]:
    """This process's environment without its own settings, and with the demonstration's."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ONEFILL_")}
    source = str(Path(onefill.__file__).parents[1])
    return {**kept, "PYTHONPATH": source, **settings}


async def _start(built: Stage, clock: Clock) -> None:
    await built.venue.start()
    await _answers(built.venue_client, "/healthz", built.folder / "venue.log", clock)
    await built.prod.start()
    await built.dev.start()
    await _answers(built.prod_client, "/ready", built.folder / "prod.log", clock)
    await _answers(built.dev_client, "/ready", built.folder / "dev.log", clock)


async def _answers(client: Client, path: str, log: Path, clock: Clock) -> None:
    """Wait until it is ready. Raises Refused with the end of its log."""
    started_ms = clock.boottime_ms()
    while clock.boottime_ms() - started_ms < _START_LIMIT_S * 1000:
        try:
            if client.ask("GET", path).is_good:
                return
        except Unreachable:
            pass
        await clock.sleep(_POLL_S)
    raise Refused(f"{client.url} is not ready in time:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:])
