"""The venue as a program: a bare ASGI application, and the server that runs it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import replace
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onefill.core.errors import ConfigurationError
from onefill.venue.access import Doorkeeper
from onefill.venue.binance.dialect import BinanceDialect
from onefill.venue.clock import Dice, VenueClock
from onefill.venue.control import Control
from onefill.venue.dialect import Dialect, Route
from onefill.venue.engine import NORMAL, Circumstances, Engine
from onefill.venue.faults import Fault, FaultKind, Faults
from onefill.venue.feed import follow
from onefill.venue.ledger import Ledger, LedgerLost
from onefill.venue.market import Market
from onefill.venue.openalgo.dialect import OpenAlgoDialect
from onefill.venue.options import VenueOptions
from onefill.venue.orders import Order
from onefill.venue.rates import REAL_RATES, Turnstile
from onefill.venue.streams import Streams
from onefill.venue.wire import Reply, Request, answer

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Hits = dict[FaultKind, Fault]

_log = logging.getLogger("onefill.venue")
_HANG_UP = "onefill.hang_up"
_KEEP_ALIVE_S = 75
_STOP_WITHIN_S = 3


class Venue:
    """The application. Nothing is answered before all that it tells is on the disk."""

    def __init__(self, options: VenueOptions, ledger: Ledger) -> None:
        self._options = options
        self._clock = VenueClock()
        self._dice = Dice(options.seed)
        self._faults = Faults(Dice(options.seed))
        self._ledger = ledger
        market = Market(self._clock, options.volatility, options.spread)
        self._engine = Engine(self._ledger, market, self._clock, options.broker_class)
        self._engine.fill_at_most = options.fill_at_most
        self._engine.restore()
        openalgo = OpenAlgoDialect(self._engine, options.lean)
        self._doorkeeper = Doorkeeper()
        self._streams = Streams(ledger, self._clock, self._faults)
        self._turnstile = Turnstile(REAL_RATES if options.rates else ())
        binance = BinanceDialect(
            self._engine, options.broker_class, turnstile=self._turnstile, streams=self._streams
        )
        self._routes: dict[tuple[str, str], tuple[Dialect, Route]] = {
            key: (dialect, route)
            for dialect in (binance, openalgo)
            for key, route in dialect.routes.items()
        }
        self._control = Control(
            options,
            self._engine,
            self._clock,
            self._faults,
            openalgo,
            turnstile=self._turnstile,
            doorkeeper=self._doorkeeper,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._converse(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._streams.converse(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._tasks = [
            asyncio.create_task(self._ledger.write_for_ever()),
            asyncio.create_task(self._follow_feed()),
            asyncio.create_task(self._streams.push_for_ever()),
            asyncio.create_task(self._streams.end_keys_for_ever()),
        ]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._ledger.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _follow_feed(self) -> None:
        try:
            await follow(self._options, self._engine, self._dice)
        except (ConfigurationError, OSError) as error:
            _log.error("the feed stopped, prices stand still: %s", error)

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            headers=scope["headers"],
            body=await _body(receive),
            received_at=self._clock.now_us(),
            caller=(scope.get("client") or ("", 0))[0],
        )
        reply = await self._reply(request)
        if reply is None:
            await _hang_up(scope, receive)
        else:
            await _send(reply, send)

    async def _reply(self, request: Request) -> Reply | None:
        """The answer to a request, durable; None to hang up without one."""
        try:
            key = (request.method, request.path)
            if key in self._routes:
                return await self._trade(request, *self._routes[key])
            if key not in self._control.routes:
                return answer({"error": f"no route {request.method} {request.path}"}, 404)
            reply = self._control.routes[key](request)
            await self._ledger.durable()
        except LedgerLost as error:
            return answer({"error": str(error), "remedy": error.remedy}, 503)
        return reply

    async def _trade(self, request: Request, dialect: Dialect, route: Route) -> Reply | None:
        """What a broker answers, once the turnstile let the request through."""
        refused = self._turned_away(request, dialect, route)
        reply = refused or await self._deal(request, dialect, route)
        if reply is None or not self._turnstile.rates:
            return reply
        facts = dialect.facts(request)
        used = self._turnstile.headers(facts["dialect"], facts["account"])
        return replace(reply, headers=reply.headers + used)

    def _turned_away(self, request: Request, dialect: Dialect, route: Route) -> Reply | None:
        if not self._doorkeeper.is_open:
            name = dialect.facts(request)["dialect"]
            refused = self._doorkeeper.refusal(request, name, route)
            if refused is not None:
                return refused
        return self._turnstile.refusal(request, dialect, route)

    async def _deal(self, request: Request, dialect: Dialect, route: Route) -> Reply | None:
        if not self._faults.active:
            reply = self._perform(request, dialect, route, {})
            await self._ledger.durable()
            return reply
        facts = dialect.facts(request) | {"kind": route.kind, "path": request.path}
        return await self._trade_badly(request, dialect, route, self._faults.strike(facts))

    async def _trade_badly(
        self, request: Request, dialect: Dialect, route: Route, hits: Hits
    ) -> Reply | None:
        await _pause(hits.get(FaultKind.LATENCY))
        for kind in (FaultKind.REJECT, FaultKind.ERROR_BEFORE):
            if kind in hits:
                return hits[kind].said(dialect.fault_reply(kind))
        reply = self._perform(request, dialect, route, hits)
        await self._ledger.durable()
        await _pause(hits.get(FaultKind.STALL))
        if FaultKind.DROP_REPLY in hits:
            return None
        for kind in (FaultKind.ERROR_AFTER, FaultKind.LYING_400):
            if kind in hits:
                return hits[kind].said(dialect.fault_reply(kind))
        return reply

    def _perform(self, request: Request, dialect: Dialect, route: Route, hits: Hits) -> Reply:
        """Do what the request asks, now or late."""
        outcome = route.handle(request)
        if isinstance(outcome, Reply):
            return outcome
        circumstances = self._circumstances(hits) if hits else NORMAL
        late = hits.get(FaultKind.LATE)
        if late is None:
            return outcome(circumstances)
        delay_ms = late.ms or self._options.lag_ms
        asyncio.get_running_loop().call_later(delay_ms / 1_000, outcome, circumstances)
        return late.said(dialect.fault_reply(FaultKind.LATE))

    def _circumstances(self, hits: Hits) -> Circumstances:
        late_fill, partial = hits.get(FaultKind.LATE_FILL), hits.get(FaultKind.PARTIAL_FILL)

        def release_later(order: Order) -> None:
            delay_s = late_fill.ms / 1_000 if late_fill else 0
            asyncio.get_running_loop().call_later(delay_s, self._engine.release, order)

        return Circumstances(
            is_held=late_fill is not None,
            fill_at_most=partial.quantity if partial else None,
            reported_twice=FaultKind.DUPLICATE_FILL in hits,
            when_accepted=release_later if late_fill else None,
        )


def build(options: VenueOptions) -> Venue:
    """The application with its ledger read back. One venue at a time holds a data directory."""
    return Venue(options, Ledger(options.data))


def run(options: VenueOptions) -> None:
    """Serve until SIGTERM or SIGINT; prints the URL once the address is bound.

    Port 0 takes a free one. Raises ConfigurationError if the address or the data is in use.
    """
    application = build(options)
    try:
        listener = socket.create_server((options.host, options.port), backlog=2_048)
    except OSError as error:
        raise ConfigurationError(
            "the address can't be bound",
            remedy="Choose another --port, or 0 for a free one.",
            host=options.host,
            port=options.port,
        ) from error
    host, port = listener.getsockname()[:2]
    print(f"onefill exchange: http://{host}:{port}", flush=True)
    _Server(
        uvicorn.Config(
            application,
            http=_Protocol,
            loop="uvloop",
            ws="websockets-sansio",
            lifespan="on",
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_STOP_WITHIN_S,
        )
    ).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Takes a signal to stop as a wish that was fulfilled, not as a death."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        watched = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self.handle_exit) for number in watched}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Protocol(HttpToolsProtocol):
    """Lets the application hang up, which ASGI has no word for."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: MutableMapping[str, Any] = self.scope  # type: ignore[assignment]
        scope[_HANG_UP] = self.transport.abort


async def _hang_up(scope: Scope, receive: Receive) -> None:
    scope[_HANG_UP]()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def _send(reply: Reply, send: Send) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(reply.body)).encode()),
        *reply.headers,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _pause(fault: Fault | None) -> None:
    if fault is not None:
        await asyncio.sleep(fault.ms / 1_000)
