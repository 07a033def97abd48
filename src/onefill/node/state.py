"""What an instance is doing, for probes, the API and people."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from onefill.core.ids import Epoch


class InstanceState(enum.StrEnum):
    """CTL-9. ACTIVE means able to act."""

    STANDBY = "STANDBY"
    CANDIDATE = "CANDIDATE"
    RECONCILING = "RECONCILING"
    ACTIVE = "ACTIVE"
    DRAINING = "DRAINING"
    FENCED = "FENCED"
    HALTED = "HALTED"  # leads, but its book is broken: nothing is executed until a person looked


@dataclass(slots=True)
class NodeState:
    """One instance's present. epoch is the one that it leads under, else None.

    taking_in: whether signals are accepted (false from the first moment of a stop).
    not_covered: brokers whose reconciliation is not finished; no new exposure there.
    redis_up: None where no Redis is configured. redis_leader: whom it takes for the leader.
    broken: promises that the stored book breaks, as found at the last start of a term.
    """

    instance: str
    boot: str
    state: InstanceState = InstanceState.STANDBY
    epoch: Epoch | None = None
    taking_in: bool = False
    not_covered: set[str] = field(default_factory=set)
    broken: tuple[str, ...] = ()
    database_up: bool = False
    redis_up: bool | None = None
    redis_leader: str | None = None

    @property
    def is_active(self) -> bool:
        """Whether this instance can act now."""
        return self.state is InstanceState.ACTIVE
