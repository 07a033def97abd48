"""Errors as RFC 9457 problem documents, each with a remedy (IF-3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onefill.core.intake.problem import Problem
from onefill.web.asgi import CLOSE, Answer, Headers, to_json

MEDIA_TYPE = "application/problem+json"
PROBLEM_JSON = (b"content-type", MEDIA_TYPE.encode())


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A sort of error: its URN ends in `name`. remedy: what the caller can do."""

    status: int
    name: str
    title: str
    remedy: str


INVALID_SIGNAL = ProblemKind(
    400,
    "invalid-signal",
    "The signal is not valid.",
    "Mend the fields under `errors` and send it again; `onefill alert-template` prints a message.",
)
UNAUTHORIZED = ProblemKind(401, "unauthorized", "Unauthorized.", "Authenticate.")
METHOD_NOT_ALLOWED = ProblemKind(
    405, "method-not-allowed", "This method is not allowed here.", "Use a method under `Allow`."
)
TOO_LARGE = ProblemKind(
    413, "body-too-large", "The body is too large.", "Send one alert in at most 16 KiB."
)
RATE_LIMITED = ProblemKind(
    429,
    "rate-limited",
    "Too many signals from one sender.",
    "Wait as long as Retry-After says, or raise the rate limit in the configuration.",
)
NOT_DURABLE = ProblemKind(
    503,
    "not-durable",
    "The signal is not known to be stored.",
    "Send the same alert again; if it was stored after all, it is seen as a duplicate.",
)
INTERNAL = ProblemKind(
    500, "internal", "This is a defect of onefill.", "See the log of this instance; report it."
)


def problem(
    status: int,
    title: str,
    detail: str | None,
    remedy: str,
    *,
    name: str | None = None,
    **extra: object,
) -> dict[str, object]:
    """The document. title: the sort of problem, the same each time; detail: this occurrence.

    name ends the `type`, by which programs tell sorts apart; without one it is made of the title.
    extra: more members.
    """
    kind = name or "-".join(title.lower().split())
    document = {
        "type": f"urn:onefill:problem:{kind}",
        "title": title,
        "status": status,
        "remedy": remedy,
        **extra,
    }
    return document if detail is None else {**document, "detail": detail}


def problem_answer(
    kind: ProblemKind,
    detail: str | None = None,
    *,
    errors: Iterable[Problem] = (),
    headers: Headers = (),
    close: bool = False,
) -> Answer:
    """The problem document. detail: the facts of this one case; errors: what a sender can mend."""
    listed = list(errors)
    extra: dict[str, object] = {"errors": listed} if listed else {}
    document = problem(kind.status, kind.title, detail, kind.remedy, name=kind.name, **extra)
    closing = (CLOSE,) if close else ()
    return Answer(kind.status, to_json(document), (PROBLEM_JSON, *headers, *closing))
