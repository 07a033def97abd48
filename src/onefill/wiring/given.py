"""What the parts of an instance that executes share with the rest of it."""

from __future__ import annotations

from dataclasses import dataclass

from onefill.config.settings import Settings
from onefill.core.control.succession import Heir
from onefill.core.ids import Lane
from onefill.core.instrument import Rules
from onefill.core.signal import SignalStatus
from onefill.node.logs import LogContext
from onefill.node.safety import Safety
from onefill.node.state import NodeState
from onefill.node.sync import SyncHealth
from onefill.ports.clock import RealClock
from onefill.ports.hints import Inbox, Topic
from onefill.ports.lease import Holder
from onefill.ports.messages import Messages
from onefill.ports.metrics import Metrics
from onefill.ports.witness import Witness
from onefill.wiring.stores import Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the executing parts share with the rest of the instance."""

    settings: Settings
    me: Holder
    rules: Rules
    stores: Stores
    state: NodeState
    metrics: Metrics
    sync: SyncHealth
    context: LogContext
    clock: RealClock
    lanes: Inbox[Lane]
    ended: Topic[tuple[int, SignalStatus, str | None]]
    messages: Messages
    witness: Witness
    safety: Safety


def heir_of(settings: Settings, instance: str) -> Heir:
    """How this instance may come to lead."""
    return Heir(
        instance=instance,
        preferred=settings.active_by_default,
        automatic=settings.may_succeed == "auto",
    )
