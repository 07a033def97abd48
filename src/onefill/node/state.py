"""What an instance is doing, for probes, the API and people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from onefill.core.control.states import ABLE, ControlEvent, InstanceState, next_state
from onefill.core.ids import Epoch
from onefill.ports.authority import LossRow
from onefill.ports.hints import Topic


@dataclass(slots=True)
class NodeState:
    """One instance's present. epoch is the one that it leads under, else None.

    taking_in: whether signals are accepted (false from the first moment of a stop).
    not_covered: brokers whose reconciliation is not finished; no new exposure there.
    redis_up: None where no Redis is configured. redis_leader: whom it takes for the leader.
    broken: promises that the stored book breaks, as found at the last start of a term.
    brokers_away: brokers that were not reached yet since the start.
    refused: brokers that take no orders from this instance, and why (ORD-16).
    loss: that the database lost commits, while that is not explained: then the state is SAFE.
    spooled: how many signals wait in the local spool.
    changed: told after each change of state.
    """

    instance: str
    boot: str
    state: InstanceState = InstanceState.STANDBY
    epoch: Epoch | None = None
    taking_in: bool = False
    not_covered: set[str] = field(default_factory=set)
    broken: tuple[str, ...] = ()
    brokers_away: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    database_up: bool = False
    redis_up: bool | None = None
    redis_leader: str | None = None
    loss: LossRow | None = None
    spooled: Callable[[], int] = lambda: 0
    changed: Topic[InstanceState] = field(default_factory=Topic)

    @property
    def is_active(self) -> bool:
        """Whether this instance can act now."""
        return self.state in ABLE

    def move(self, event: ControlEvent) -> None:
        """The only way to change the state (CTL-9)."""
        before, self.state = self.state, next_state(self.state, event)
        if self.state is not before:
            self.changed.publish(self.state)
