"""From which addresses, and in which session, each dialect lets accounts in. Source: ORD-16."""

from __future__ import annotations

from collections.abc import Mapping

from onefill.venue.dialect import MARKET, Route
from onefill.venue.instruments import BINANCE, OPENALGO
from onefill.venue.wire import Reply, Request, answer

_NOT_REGISTERED = "Orders are taken from registered addresses only."
_NO_SESSION = "Session expired. Please log in again."


class Doorkeeper:
    """Lets everybody in, unless it was told otherwise."""

    def __init__(self) -> None:
        self._addresses: dict[str, frozenset[str]] = {}
        self._without_session: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether nobody is turned away."""
        return not self._addresses and not self._without_session

    def set(self, wish: Mapping[str, object]) -> str | None:
        """Let in only these addresses (none is any), in a session or not; says what is wrong."""
        dialect, addresses = wish.get("dialect"), wish.get("addresses", [])
        if dialect not in (BINANCE, OPENALGO):
            return "dialect is binance or openalgo"
        if not isinstance(addresses, list) or not all(isinstance(a, str) for a in addresses):
            return "addresses is a list of texts"
        self._addresses.pop(str(dialect), None)
        self._without_session.discard(str(dialect))
        if addresses:
            self._addresses[str(dialect)] = frozenset(addresses)
        if wish.get("session") is False:
            self._without_session.add(str(dialect))
        return None

    def refusal(self, request: Request, dialect: str, route: Route) -> Reply | None:
        """Why the request is turned away; None lets it in."""
        if dialect == BINANCE and route.kind == MARKET:
            return None
        known = self._addresses.get(dialect)
        if known is not None and request.caller not in known:
            return _refuse(dialect, _NOT_REGISTERED)
        return _refuse(dialect, _NO_SESSION) if dialect in self._without_session else None


def _refuse(dialect: str, message: str) -> Reply:
    if dialect == OPENALGO:
        return answer({"status": "error", "message": message}, 403)
    text = "Invalid API-key, IP, or permissions for action."
    return answer({"code": -2015, "msg": text}, 401)
