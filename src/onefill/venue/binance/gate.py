"""Who asks, with which signature, and whether in time: Binance's door."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping

from onefill.venue.binance.answers import error, missing
from onefill.venue.clock import VenueClock
from onefill.venue.options import BrokerClass
from onefill.venue.wire import Reply, Request, integer_of

DEFAULT_KEY = "paper"
"""The account of requests without a key. Every key's secret is the key itself."""
WINDOW_MS = 5_000
_WINDOW_MS_MAX = 60_000
_AHEAD_MS = 1_000
_SIGNATURE = re.compile(r"(?:^|&)signature=([^&]*)")

Form = Mapping[str, str]


def account_of(request: Request) -> str:
    """The account that asks: the API key."""
    return request.header(b"x-mbx-apikey") or DEFAULT_KEY


class Gate:
    """Lets signed requests in."""

    def __init__(self, clock: VenueClock, broker_class: BrokerClass) -> None:
        self._clock = clock
        self._class = broker_class

    def refusal(self, request: Request, form: Form) -> Reply | None:
        """Why the request is not let in; None if it is. Call it when it is about to be done."""
        for name in ("timestamp", "signature"):
            if not form.get(name):
                return missing(name)
        if not _is_signed(request):
            return error(-1022)
        timestamp = integer_of(form["timestamp"])
        window = integer_of(form.get("recvWindow", WINDOW_MS))
        if timestamp is None:
            return missing("timestamp")
        if window is None or not 0 < window <= _WINDOW_MS_MAX:
            return missing("recvWindow")
        return self._window(timestamp, window)

    def _window(self, timestamp: int, window_ms: int) -> Reply | None:
        if not self._class.requests_expire:
            return None
        now_ms = self._clock.now_ms()
        if timestamp >= now_ms + _AHEAD_MS:
            ahead = "Timestamp for this request was 1000ms ahead of the server's time."
            return error(-1021, ahead)
        return error(-1021) if now_ms - timestamp > window_ms else None


def _is_signed(request: Request) -> bool:
    """Whether the signature is right: HMAC-SHA256 of query string and body without itself."""
    body = request.body.decode("utf-8", "replace")
    found = _SIGNATURE.search(body) or _SIGNATURE.search(request.query)
    if found is None:
        return False
    total = _without_signature(request.query) + _without_signature(body)
    secret = account_of(request).encode()
    expected = hmac.digest(secret, total.encode(), "sha256").hex()
    return hmac.compare_digest(expected.encode(), found[1].lower().encode())


def _without_signature(text: str) -> str:
    return _SIGNATURE.sub("", text).removeprefix("&")
