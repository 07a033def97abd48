"""The door of the API: no path behind it is open unless it is named here (IF-2)."""

from __future__ import annotations

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from onefill.ports.views import Actor
from onefill.web.api.answers import refuse
from onefill.web.tokens import Role, Tokens, bearer

OPEN_PATHS = frozenset({"/docs", "/openapi.json"})
"""The description of the API holds no data."""
PROTOCOL = "onefill"
"""A browser's WebSocket offers this sub-protocol, and its token as the next one."""
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPERATOR = "ONEFILL_OPERATOR_TOKEN"
_VIEWER = "ONEFILL_VIEWER_TOKEN"


class Guard:
    """Lets reads through with any token, all else with the operator's.

    Stands before the routes: without a token nobody learns which paths exist or what is wrong
    with a body. Leaves the Actor in the request's state, for the audit log.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or pass on."""
        if scope["type"] == "websocket" and not self._may_listen(scope):
            await receive()  # the handshake, which is answered with 403
            await send({"type": "websocket.close", "code": 1008, "reason": "No valid token."})
            return
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _may_listen(self, scope: Scope) -> bool:
        """Whether a WebSocket brings a token, in whichever way its client could."""
        offered = list(scope.get("subprotocols", ()))
        presented = [
            bearer(Headers(scope=scope).get("authorization", "")),
            QueryParams(scope["query_string"]).get("token"),
            offered[1] if offered[:1] == [PROTOCOL] and len(offered) > 1 else None,
        ]
        return any(token and self._tokens.role_of(token) is not None for token in presented)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        token = bearer(Headers(scope=scope).get("authorization", ""))
        if token is None:
            return self._unauthorised("The request carries no token.")
        role = self._tokens.role_of(token)
        if role is None:
            return self._unauthorised("The token is not a valid one.")
        if role is not Role.OPERATOR and scope["method"] not in _READS:
            remedy = f"Send the operator's token, the value of {_OPERATOR}."
            return refuse(403, "Not allowed", "This token may read only.", remedy)
        client = scope.get("client")
        actor = Actor(name=role.value, address=client[0] if client else None)
        scope.setdefault("state", {})["actor"] = actor
        return None

    def _unauthorised(self, detail: str) -> ASGIApp:
        remedy = f"Send `Authorization: Bearer …` with the value of {_VIEWER} or {_OPERATOR}."
        if not self._tokens.are_configured:
            remedy = f"No token is configured: set {_OPERATOR} (and {_VIEWER}), and restart."
        challenge = {"WWW-Authenticate": "Bearer"}
        return refuse(401, "Not authorised", detail, remedy, headers=challenge)
