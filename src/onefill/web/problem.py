"""Errors as RFC 9457 problem documents, each with a remedy (IF-3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onefill.core.problem import Problem
from onefill.web.asgi import CLOSE, Answer, Headers, to_json

PROBLEM_JSON = (b"content-type", b"application/problem+json")


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


def problem_answer(
    kind: ProblemKind,
    detail: str | None = None,
    *,
    errors: Iterable[Problem] = (),
    headers: Headers = (),
    close: bool = False,
) -> Answer:
    """The problem document. detail: the facts of this one case; errors: what a sender can mend."""
    document: dict[str, object] = {
        "type": f"urn:onefill:problem:{kind.name}",
        "title": kind.title,
        "status": kind.status,
        "remedy": kind.remedy,
    }
    if detail is not None:
        document["detail"] = detail
    listed = list(errors)
    if listed:
        document["errors"] = listed
    closing = (CLOSE,) if close else ()
    return Answer(kind.status, to_json(document), (PROBLEM_JSON, *headers, *closing))
