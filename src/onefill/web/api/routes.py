"""The HTTP API: reading everything, and an operator's actions (IF-1, IF-2, IF-3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from onefill import __version__
from onefill.ports.coordination import Coordination
from onefill.ports.rows import NodeStatus
from onefill.ports.views import Controls, Reconcile, Views
from onefill.web.api import control as api_control
from onefill.web.api import money as api_money
from onefill.web.api import orders as api_orders
from onefill.web.api import portfolio as api_portfolio
from onefill.web.api import reconciling as api_reconciling
from onefill.web.api import safety as api_safety
from onefill.web.api import settling as api_settling
from onefill.web.api import signals as api_signals
from onefill.web.api import status as api_status
from onefill.web.api import stream as api_stream
from onefill.web.api import trading as api_trading
from onefill.web.api.answers import handle_errors
from onefill.web.api.desk import Desk
from onefill.web.api.docs import SECURITY, page
from onefill.web.api.guard import Guard
from onefill.web.tokens import Tokens

FAMILIES = (
    api_status,
    api_control,
    api_safety,
    api_signals,
    api_orders,
    api_settling,
    api_reconciling,
    api_portfolio,
    api_money,
    api_trading,
)
_ABOUT = (
    "Signals, orders, positions and instances of onefill. Money, prices and quantities are "
    "decimal strings. Errors are problem documents (RFC 9457) with a remedy. Reads take the "
    "viewer's or the operator's token, actions the operator's."
)
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail", "remedy"],
    "properties": {
        "type": {"type": "string", "example": "urn:onefill:problem:not-found"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "remedy": {"type": "string", "description": "What to do about it."},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


def build_api(
    views: Views,
    controls: Controls,
    tokens: Tokens,
    node_status: Callable[[], NodeStatus],
    *,
    coordination: Coordination,
    reconcile: Reconcile,
) -> FastAPI:
    """The application. node_status answers at once, from memory, at each request."""
    app = FastAPI(
        title="onefill",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(HTTPBearer(auto_error=False))],
    )
    app.state.desk = Desk(
        views=views,
        controls=controls,
        coordination=coordination,
        node=node_status,
        reconcile=reconcile,
    )
    for family in FAMILIES:
        app.include_router(family.router)
    app.include_router(api_stream.router)
    app.add_middleware(Guard, tokens=tokens)
    handle_errors(app)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Serve the description of the API, as OpenAPI and as a page."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            about = app.description
            document = get_openapi(
                title=app.title, version=app.version, description=about, routes=app.routes
            )
            document["components"]["schemas"]["Problem"] = _PROBLEM
            _keep_nulls(document)
            app.openapi_schema = document
        return app.openapi_schema

    async def docs() -> HTMLResponse:
        return HTMLResponse(page(openapi()), headers=SECURITY)

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_api_route("/docs", docs, include_in_schema=False)


def _keep_nulls(document: dict[str, Any]) -> None:
    """Put the examples in as they are: FastAPI drops their nulls, and they would not fit."""
    for route in (route for family in FAMILIES for route in family.router.routes):
        if isinstance(route, APIRoute):
            good = route.responses[200]["content"]["application/json"]
            for method in route.methods or ():
                answers = document["paths"][route.path_format][method.lower()]["responses"]
                answers["200"]["content"]["application/json"].update(good)
