"""A small client of an instance's HTTP API and of the paper venue's."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from onefill.cli.errors import Refused, Unreachable, Usage

_UNAVAILABLE = 503
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, its headers in lower case, and the JSON that came with it (None: none)."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether it did what was asked."""
        return self.status < 300

    @property
    def retry_after_s(self) -> float | None:
        """After how long to ask again, where the answer says so."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isdigit() else None


class Client:
    """Asks one server; a connection for each call, so that a restarted server is no matter."""

    def __init__(self, url: str, *, token: str = "", timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Usage(f"{url!r} is not an address; write http://HOST:PORT")
        self.url = url.rstrip("/")
        self._connection = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._host, self._port = parts.hostname, parts.port
        self._below = parts.path.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s

    def get(self, path: str, **query: object) -> Any:
        """What is there. Raises Refused, Unreachable."""
        return good(self.ask("GET", path, query=query))

    def post(self, path: str, body: object = None, **query: object) -> Any:
        """What came of it. Raises Refused, Unreachable."""
        return good(self.ask("POST", path, body=body, query=query))

    def put(self, path: str, body: object) -> Any:
        """What came of it. Raises Refused, Unreachable."""
        return good(self.ask("PUT", path, body=body))

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
    ) -> Answer:
        """One request and its answer, whatever it says. Raises Unreachable when there is none.

        body: bytes are sent as they are, anything else as JSON. None in a query is left out.
        """
        asked = {name: str(value) for name, value in (query or {}).items() if value is not None}
        target = self._below + path + ("?" + urlencode(asked) if asked else "")
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        content = body if isinstance(body, bytes) else None if body is None else dumps(body)
        connection = self._connection(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.request(method, target, body=content, headers=headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self.url} does not answer: {_why(error)}") from error
        finally:
            connection.close()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, _json(text), named)


def good(answer: Answer) -> Any:
    """The body of an answer that did what was asked. Raises Refused, or Unreachable for a 503."""
    if answer.is_good:
        return answer.body
    reason, remedy = explained(answer)
    if answer.status == _UNAVAILABLE:
        raise Unreachable(reason, remedy=remedy or "It is starting or has lost its database; wait.")
    if answer.status in (401, 403) and not remedy:
        remedy = "Set ONEFILL_OPERATOR_TOKEN (or ONEFILL_VIEWER_TOKEN, to look) as the server has."
    raise Refused(reason, status=answer.status, remedy=remedy)


def explained(answer: Answer) -> tuple[str, str | None]:
    """An answer's reason and remedy in words, from a problem document or what there is."""
    body = answer.body
    if isinstance(body, list):
        return "; ".join(_field_problem(each) for each in body), None
    if not isinstance(body, dict):
        return f"HTTP {answer.status}", None
    words = [body.get(name) for name in ("title", "detail", "reason", "error", "message")]
    reason = ": ".join(dict.fromkeys(str(word) for word in words if word))
    for each in body.get("errors") or body.get("problems") or ():
        reason += f"; {_field_problem(each)}"
    remedy = body.get("remedy")
    return reason or f"HTTP {answer.status}", str(remedy) if remedy else None


def dumps(value: object) -> bytes:
    """JSON as bytes; decimals become exact numbers, as TradingView writes them."""
    return _encoder.encode(value)


def _field_problem(each: object) -> str:
    if isinstance(each, dict):
        return " ".join(str(each[name]) for name in ("field", "problem") if name in each)
    return str(each)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
