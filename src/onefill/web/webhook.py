"""POST /webhook: the one hot route, as a bare ASGI callable. Source: SIG-1 … SIG-8, SIG-19."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

import structlog

from onefill.core.intake.parse import Invalid, Valid, parse
from onefill.core.intake.problem import WHOLE_BODY, Problem
from onefill.core.intake.signal_time import Zones
from onefill.core.masking import Mask
from onefill.core.signal import SignalStatus
from onefill.flow.awaiting import Awaiting
from onefill.flow.intake import Intake, Taken
from onefill.ports.clock import Clock
from onefill.ports.intake import IntakeUnavailable, SignalUnloggable
from onefill.ports.metrics import Metrics
from onefill.web.asgi import (
    Answer,
    BodyReader,
    BodyTooLarge,
    BodyTooSlow,
    ClientGone,
    Receive,
    Scope,
    Send,
    respond,
    to_json,
)
from onefill.web.problem import (
    INVALID_SIGNAL,
    METHOD_NOT_ALLOWED,
    NOT_DURABLE,
    RATE_LIMITED,
    TOO_LARGE,
    UNAUTHORIZED,
    problem_answer,
)
from onefill.web.rate_limit import Rate, RateLimit
from onefill.web.webhook_auth import Door

PATH = "/webhook"
BODY_MAX = 16 * 1024
BODY_WITHIN_S = 1.5
WAIT_DEFAULT_S = 2.5
WAIT_MAX_S = 30.0
RETRY_AFTER = (b"retry-after", b"1")
SAMPLES = Rate(a_minute=30, burst=10)
MASKED_BYTES = 2048
SAMPLE_CHARACTERS = 200

log = structlog.get_logger()


class _Refused(Exception):
    """Ends the handling of a request early. status: its name in the metrics."""

    def __init__(self, status: str, answer: Answer) -> None:
        super().__init__(status)
        self.status = status
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookParts:
    """What the webhook stands on.

    rate: None switches the limit off. rejects: why no signal is taken now (`not_leader` under
    `standby_signals = "reject"`, SIG-3), or None. keep: writes down what is answered with 503.
    """

    intake: Intake
    awaiting: Awaiting
    door: Door
    zones: Zones
    mask: Mask
    metrics: Metrics
    clock: Clock
    rate: Rate | None = Rate()  # noqa: RUF009  frozen, so that all may share it
    rejects: Callable[[], str | None] = lambda: None
    keep: Callable[[str], Awaitable[None]] | None = None


class Webhook:
    """Answers one request at a time; 2xx only for what is durable (SIG-2)."""

    def __init__(self, parts: WebhookParts) -> None:
        self._parts = parts
        self._limit = RateLimit(parts.rate) if parts.rate else None
        self._bodies = BodyReader(at_most=BODY_MAX, within_s=BODY_WITHIN_S)
        self._samples = RateLimit(SAMPLES)
        if not parts.door.secrets:
            log.warning(
                "webhook.no_secret",
                remedy="Set ONEFILL_WEBHOOK_SECRET; until then only this machine may send signals.",
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and count the answer."""
        clock, metrics = self._parts.clock, self._parts.metrics
        began_ms = clock.boottime_ms()
        try:
            status, answer = await self._handle(scope, receive)
        except _Refused as refused:
            status, answer = refused.status, refused.answer
        except ClientGone:
            metrics.signals.add("gone")
            return
        except Exception:
            # A defect must not cost a signal: the sender tries again, perhaps elsewhere.
            log.exception("webhook.defect")
            status, answer = "failed", _unavailable()
        await respond(scope, send, answer)
        metrics.signals.add(status)
        metrics.webhook_seconds.observe((clock.boottime_ms() - began_ms) / 1000)

    async def _handle(self, scope: Scope, receive: Receive) -> tuple[str, Answer]:
        sender = self._check_head(scope)
        wait_s = _wait_of(scope["query_string"]) if scope["query_string"] else None
        body = await self._body(receive)
        valid = self._parse(scope, sender, body)
        reason = self._parts.rejects()
        if reason is not None:
            return "rejected", _rejected(reason)
        try:
            taken = await self._parts.intake.take_in(valid.signal, valid.payload)
        except IntakeUnavailable as error:
            if self._parts.keep is not None and not isinstance(error, SignalUnloggable):
                await self._parts.keep(valid.payload)
            raise _Refused("unavailable", _unavailable(str(error))) from None
        if wait_s is None:
            return _taken(taken, valid)
        return await self._awaited(taken, valid, wait_s)

    # Before the body ---------------------------------------------------------------------------

    def _check_head(self, scope: Scope) -> str:
        """Who sends; refused where nothing of the body has to be known."""
        if scope["method"] != "POST":
            answer = problem_answer(METHOD_NOT_ALLOWED, headers=((b"allow", b"POST"),))
            raise _Refused("method", answer)
        senders = self._parts.door.senders
        sender = senders.sender_of(scope)
        if not senders.allow(sender):
            raise _unauthorized()
        if self._limit is not None:
            wait_ms = self._limit.wait_ms(sender, self._parts.clock.boottime_ms())
            if wait_ms > 0:
                seconds = math.ceil(wait_ms / 1000)
                headers = ((b"retry-after", b"%d" % seconds),)
                raise _Refused("limited", problem_answer(RATE_LIMITED, headers=headers))
        return sender

    async def _body(self, receive: Receive) -> bytes:
        try:
            return await self._bodies.read(receive)
        except BodyTooLarge:
            answer = problem_answer(TOO_LARGE, close=True)
            raise _Refused("too_large", answer) from None
        except BodyTooSlow:
            answer = _unavailable("the body did not arrive in time", close=True)
            raise _Refused("too_slow", answer) from None

    # The body ----------------------------------------------------------------------------------

    def _parse(self, scope: Scope, sender: str, body: bytes) -> Valid:
        """The valid, authenticated signal. Who is not let in learns nothing but that.

        A body that is no JSON is called so to anyone: its secret can't be found, and where it
        breaks off says nothing of ours.
        """
        door, now = self._parts.door, self._parts.clock.wall()
        offers = door.offers_of_head(scope, scope["path"][len(PATH) + 1 :], body, now)
        if not all(offers):
            raise _unauthorized()
        parsed = parse(body, now=now, zones=self._parts.zones)
        if parsed.secret is not None:
            offers.append(door.secrets.know(parsed.secret))
        is_readable = isinstance(parsed, Valid) or parsed.is_readable
        if is_readable and not door.admits(scope, sender, offers):
            raise _unauthorized()
        if isinstance(parsed, Invalid):
            raise self._invalid(parsed, sender, body)
        if door.secrets.leak_in(parsed.payload):
            fault = "holds a webhook secret outside the field `secret`; send it there only"
            raise self._invalid(Invalid((Problem(WHOLE_BODY, fault, ""),)), sender, body)
        return parsed

    def _invalid(self, invalid: Invalid, sender: str, body: bytes) -> _Refused:
        mask = self._parts.mask
        problems = [
            Problem(mask.values(one.field), mask.values(one.problem), mask.values(one.got))
            for one in invalid.problems
        ]
        if self._samples.wait_ms("", self._parts.clock.boottime_ms()) == 0:
            log.warning(
                "webhook.invalid",
                sender=sender,
                problems=[f"{one.field} {one.problem} (got {one.got})" for one in problems[:5]],
                body=_sample(body, mask),
            )
        return _Refused("invalid", problem_answer(INVALID_SIGNAL, errors=problems))

    # After the commit --------------------------------------------------------------------------

    async def _awaited(self, taken: Taken, valid: Valid, wait_s: float) -> tuple[str, Answer]:
        progress = await self._parts.awaiting.outcome(taken.signal_id, wait_s)
        status, answer = _taken(taken, valid)
        if progress.status is SignalStatus.RECEIVED:
            return status, answer
        document = _document(progress.status.value, taken, valid)
        document["duplicate"] = taken.duplicate
        if progress.reason is not None:
            document["reason"] = progress.reason
        return status, Answer(200, to_json(document))


def _sample(body: bytes, mask: Mask) -> str:
    """The body's beginning for the log. Masked before it is cut, lest half a secret shows; and
    not shown at all where the mask could not read it."""
    try:
        text = body[:MASKED_BYTES].decode()
    except UnicodeDecodeError:
        text = "\0"
    return f"({len(body)} bytes)" if "\0" in text else mask.text(text)[:SAMPLE_CHARACTERS]


def _taken(taken: Taken, valid: Valid) -> tuple[str, Answer]:
    status = "duplicate" if taken.duplicate else "accepted"
    return status, Answer(200, to_json(_document(status, taken, valid)))


def _document(status: str, taken: Taken, valid: Valid) -> dict[str, object]:
    document: dict[str, object] = {
        "status": status,
        "signal_id": taken.signal_id,
        "fingerprint": taken.fingerprint.hex(),
    }
    if valid.signal.unknown_fields:
        document["unknown_fields"] = valid.signal.unknown_fields
    return document


def _rejected(reason: str) -> Answer:
    return Answer(200, to_json({"status": "rejected", "reason": reason}))


def _unauthorized() -> _Refused:
    return _Refused("unauthorized", problem_answer(UNAUTHORIZED))


def _unavailable(detail: str | None = None, *, close: bool = False) -> Answer:
    return problem_answer(NOT_DURABLE, detail, headers=(RETRY_AFTER,), close=close)


def _wait_of(query: bytes) -> float | None:
    """How long to wait for the end of the signal, in seconds; None: answer at once."""
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    problems = []
    wait = asked.get("wait", [None])[-1]
    if wait not in (None, "executed"):
        problems.append(Problem("wait", "must be executed, or be left out", str(wait)[:64]))
    seconds = _seconds(asked.get("timeout", [str(WAIT_DEFAULT_S)])[-1])
    if seconds is None:
        fault = f"must be seconds above 0, at most {WAIT_MAX_S:g}, such as 2.5"
        problems.append(Problem("timeout", fault, asked["timeout"][-1][:64]))
    if problems:
        raise _Refused("invalid", problem_answer(INVALID_SIGNAL, errors=problems))
    return seconds if wait is not None else None


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 < seconds <= WAIT_MAX_S else None
