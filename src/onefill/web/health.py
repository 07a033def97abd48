"""The four probes that load balancers and supervisors ask, without a token (IF-1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from onefill.web.asgi import Answer, App, Receive, Scope, Send, respond, to_json
from onefill.web.problem import METHOD_NOT_ALLOWED, problem_answer

_Document = dict[str, object]
_Probe = Callable[["Health"], tuple[bool, _Document]]
_ALLOW = ((b"allow", b"GET, HEAD"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """An instance's present, as the probes tell it.

    must_restart: why this process can't go on; None while it works. not_ready: why it can't take
    in a signal durably now; empty when it can. is_primary: leads, and can act. redis_up: None
    where no Redis is configured. may_not_send: brokers that take no orders from it, and why.
    """

    instance: str
    state: str
    epoch: int | None = None
    is_primary: bool = False
    must_restart: str | None = None
    not_ready: tuple[str, ...] = ()
    database_up: bool = False
    redis_up: bool | None = None
    may_not_send: Mapping[str, str] = field(default_factory=dict)
    details: dict[str, object] = field(default_factory=dict)


class HealthSource(Protocol):
    """Tells the health of this moment; cheap, because probes are frequent."""

    def __call__(self) -> Health:
        """The health now."""
        ...


class Probes:
    """`/live`, `/health`, `/ready` and `/primary`."""

    def __init__(self, health: HealthSource) -> None:
        self._health = health
        self.routes: dict[str, App] = {
            "/live": self._answering(self._live),
            "/health": self._answering(self._healthy),
            "/ready": self._answering(self._ready),
            "/primary": self._answering(self._primary),
        }

    def _answering(self, probe: _Probe) -> App:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] not in ("GET", "HEAD"):
                await respond(scope, send, problem_answer(METHOD_NOT_ALLOWED, headers=_ALLOW))
                return
            is_good, document = probe(self._health())
            await respond(scope, send, Answer(200 if is_good else 503, to_json(document)))

        return answer

    def _live(self, health: Health) -> tuple[bool, _Document]:
        """That it answers at all is the answer: the event loop runs."""
        return True, {"status": "ok", "instance_id": health.instance}

    def _healthy(self, health: Health) -> tuple[bool, _Document]:
        document: _Document = {
            "status": "ok" if health.must_restart is None else "failed",
            "instance_id": health.instance,
            "state": health.state,
            "epoch": health.epoch,
            "database_connected": health.database_up,
            "redis_connected": health.redis_up,
            "may_not_send": health.may_not_send,
            **health.details,
        }
        if health.must_restart is not None:
            document["reason"] = health.must_restart
        return health.must_restart is None, document

    def _ready(self, health: Health) -> tuple[bool, _Document]:
        is_ready = not health.not_ready
        status = "ready" if is_ready else "not_ready"
        return is_ready, {
            "status": status,
            "instance_id": health.instance,
            "reasons": health.not_ready,
            "may_not_send": health.may_not_send,
        }

    def _primary(self, health: Health) -> tuple[bool, _Document]:
        return health.is_primary, {
            "primary": health.is_primary,
            "instance_id": health.instance,
            "state": health.state,
            "epoch": health.epoch,
        }
