"""`/ws/instance-status`: how this instance stands, pushed on change and every 5 s (IF-4)."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from onefill.ports.coordination import Coordination
from onefill.web.api.answers import as_json
from onefill.web.api.guard import PROTOCOL

router = APIRouter()
PUSH_EVERY_S = 5.0


@router.websocket("/ws/instance-status")
async def instance_status(socket: WebSocket) -> None:
    """The same document as `GET /api/ginie/instance-status`, again and again.

    The token comes as a header, as `?token=…`, or as the sub-protocol after `onefill`, because
    browsers can't set headers here.
    """
    offered = socket.scope.get("subprotocols", ())
    await socket.accept(subprotocol=PROTOCOL if PROTOCOL in offered else None)
    coordination: Coordination = socket.app.state.desk.coordination
    changed = asyncio.Event()
    forget = coordination.subscribe(changed.set)
    pushing = asyncio.create_task(_push(socket, coordination, changed))
    try:
        while True:  # a client says nothing, but its going is heard only by listening
            await socket.receive_text()
    except WebSocketDisconnect:
        return
    finally:
        forget()
        pushing.cancel()
        with contextlib.suppress(asyncio.CancelledError, RuntimeError, WebSocketDisconnect):
            await pushing


async def _push(socket: WebSocket, coordination: Coordination, changed: asyncio.Event) -> None:
    while True:
        changed.clear()
        await socket.send_text(as_json(await coordination.status()).decode())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PUSH_EVERY_S):
                await changed.wait()
