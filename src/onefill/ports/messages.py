"""Messages between instances. They only wake: a lost, late or repeated one changes nothing."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from onefill.core.ids import Epoch

EVERYBODY = "*"
CHANNEL = "ginie:control"


class MessageKind(enum.StrEnum):
    """What a message says (CTL-11)."""

    DEACTIVATE = "DEACTIVATE"  # there is a request for your lease: look at it
    READY = "READY"  # the lease changed hands, or the requester's readiness did: look at it
    HEARTBEAT = "HEARTBEAT"  # I am here; an instance's state changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. to: an instance, or EVERYBODY. request_id: of the takeover, if it is of one."""

    kind: MessageKind
    sender: str
    to: str = EVERYBODY
    sent_at: datetime
    request_id: UUID | None = None
    epoch: Epoch | None = None

    def is_for(self, instance: str) -> bool:
        """Whether that instance should look; nobody needs to hear itself."""
        return self.to in (instance, EVERYBODY) and self.sender != instance


class Messages(Protocol):
    """At most once, in no order. Nothing here raises because the carrier is away."""

    @property
    def connected(self) -> bool:
        """Whether the carrier can be heard now."""
        ...

    def subscribe(self, callback: Callable[[Message], None]) -> Callable[[], None]:
        """Call back with each message from now on, one's own too; the answer unsubscribes."""
        ...

    async def publish(self, message: Message) -> None:
        """Send it if that is possible now."""
        ...

    async def run(self) -> None:
        """Listen until cancelled, connecting again after each break."""
        ...

    async def close(self) -> None:
        """Let the connections go."""
        ...


def to_json(message: Message) -> str:
    """The message as it travels."""
    return json.dumps(
        {
            "type": message.kind.value,
            "from": message.sender,
            "to": message.to,
            "timestamp": message.sent_at.isoformat(),
            "request_id": str(message.request_id) if message.request_id else None,
            "epoch": message.epoch,
        }
    )


def from_json(text: str | bytes) -> Message | None:
    """The message in that text; None when it is none: a stranger's word is no reason to fall."""
    try:
        fields = json.loads(text)
        request_id, epoch = fields.get("request_id"), fields.get("epoch")
        return Message(
            kind=MessageKind(fields["type"]),
            sender=str(fields["from"]),
            to=str(fields.get("to", EVERYBODY)),
            sent_at=datetime.fromisoformat(fields["timestamp"]),
            request_id=UUID(request_id) if request_id else None,
            epoch=Epoch(int(epoch)) if epoch is not None else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
