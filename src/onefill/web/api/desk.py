"""What every route can ask for: the views, the controls, this node, who is asking, which page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request, Response
from pydantic import AwareDatetime

from onefill.ports.coordination import Coordination
from onefill.ports.rows import NodeStatus
from onefill.ports.views import Actor, Controls, Reconcile, Views, Window
from onefill.web.api.answers import as_json, refuse
from onefill.web.problem import MEDIA_TYPE

LIMIT_MAX = 500
LONGEST_NAME = 200
LARGEST_ID = 2**63 - 1
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(3000, 1, 1, tzinfo=UTC)
_REFUSALS = {
    401: "No valid token.",
    403: "The token may read only.",
    404: "There is no such thing.",
    409: "Not possible as things stand.",
    422: "The request is not valid.",
    202: "It has begun.",
    503: "The database is not reachable.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The parts behind the routes. node: asked anew for each request."""

    views: Views
    controls: Controls
    coordination: Coordination
    node: Callable[[], NodeStatus]
    reconcile: Reconcile


# Asynchronous, as FastAPI would take a thread for each call otherwise.
async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _actor(request: Request) -> Actor:
    actor: Actor = request.state.actor
    return actor


async def _window(
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX, description="At most so many rows.")] = 50,
    cursor: Annotated[
        str | None,
        Query(max_length=LONGEST_NAME, description="`next_cursor` of the page before."),
    ] = None,
) -> Window:
    return Window(limit=limit, cursor=cursor)


AtDesk = Annotated[Desk, Depends(_desk)]
By = Annotated[Actor, Depends(_actor)]
Paged = Annotated[Window, Depends(_window)]
Name = Annotated[str | None, Query(max_length=LONGEST_NAME, pattern=PRINTABLE)]
Id = Annotated[str, Path(max_length=LONGEST_NAME, pattern=PRINTABLE)]
Moment = Annotated[
    AwareDatetime | None,
    Query(ge=_EARLIEST, lt=_LATEST, description="ISO-8601 with its zone."),
]


async def not_here(desk: Desk) -> Response | None:
    """A standby sends people to whoever is active: one place acts on orders.

    Nobody is active in SAFE, when people are needed most: then whoever holds the lease acts.
    """
    node = desk.node()
    if node.is_active or (node.loss is not None and node.epoch is not None):
        return None
    leader = await desk.views.leader()
    name = leader.instance if leader is not None and leader.instance else "nobody"
    url = leader.url if leader is not None else None
    remedy = f"Ask {name} at {url}." if url else "Wait until an instance is active, and ask it."
    return refuse(
        409,
        "Not active",
        f"{desk.node().instance} is not active; {name} is.",
        remedy,
        active_instance=name,
        active_url=url,
    )


def documented(example: object, *refusals: int) -> dict[int | str, dict[str, Any]]:
    """A route's answers for OpenAPI: an example of the good one, and the refusals it may give."""
    good = {"content": {"application/json": {"example": example_of(example)}}}
    return {
        200: {"description": "As asked.", **good},
        **{status: _refused(status) for status in sorted({401, *refusals, 503})},
    }


def example_of(content: object) -> Any:
    """What this would look like as an answer."""
    return json.loads(as_json(content))


def _refused(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": _REFUSALS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
