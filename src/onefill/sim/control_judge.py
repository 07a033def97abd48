"""What must hold of the lease and of takeovers, judged while they happen (CTL-1, 3, 6, 11, 12)."""

from __future__ import annotations

from collections.abc import Callable

from onefill.core.ids import ClientOrderId, Epoch
from onefill.core.intent import IntentState
from onefill.ports.lease import Holder
from onefill.sim.loop import Timeline
from onefill.sim.rules import HANDOVER
from onefill.sim.tables import Tables

WAITS_S_MAX = 0.01
"""A taker has barred the old holder and ended its sessions: nothing is left to wait for."""

Blame = Callable[[str, str], None]
Trust = Callable[[Holder], Epoch | None]


class ControlJudge:
    """Is told by the store what it does, and by the wire what is sent.

    trust: the epoch under which a process that runs now believes to lead; it is what it tells load
    balancers, and the one thing that shows nowhere else.
    """

    def __init__(self, timeline: Timeline, blame: Blame, note: Blame) -> None:
        self.trust: Trust = lambda holder: None
        self.epochs = 0
        self._timeline = timeline
        self._blame = blame
        self._note = note
        self._holders: dict[Epoch, Holder] = {}
        self._sent_s: dict[tuple[ClientOrderId, int], float] = {}
        self._drains_s: dict[Holder, float] = {}

    def granted(self, epoch: Epoch, holder: Holder) -> None:
        """I1: epochs grow, and each has one holder."""
        self._note(holder.instance, f"is granted epoch {epoch}")
        self.epochs += 1
        if self._holders and epoch <= max(self._holders):
            self._blame("one_holder_an_epoch", f"{epoch} is granted again, to {holder.instance}")
        self._holders[epoch] = holder

    def expired(self, epoch: Epoch, holder: Holder) -> None:
        """A lease that ran out is taken: CTL-3, its holder has stopped by itself before."""
        if self.trust(holder) == epoch:
            facts = f"{holder.instance} leads as {epoch}, which is taken from it as expired"
            self._blame("stops_before_it_is_succeeded", facts)

    def waited(self, seconds: float, taker: Holder) -> None:
        """A taker waited so long for transactions of the old epoch to end (CTL-6)."""
        if seconds > WAITS_S_MAX:
            self._blame("a_taker_waits_for_nobody", f"{taker.instance} waited {seconds:.3f} s")

    def sending(self, name: ClientOrderId, attempt: int) -> None:
        """Bytes leave for this attempt."""
        self._sent_s[name, attempt] = self._timeline.now_s

    def draining(self, holder: Holder) -> None:
        """It begins nothing more; what it was claiming just now still goes to its end."""
        self._drains_s[holder] = self._timeline.now_s

    def handed_over(self, epoch: Epoch, holder: Holder, tables: Tables) -> None:
        """CTL-2: effects stop, then what was sent gets its answer stored, and only then control
        goes; what had no answer for as long as a holder may drain stays SENDING (CTL-11).

        In active-active sending goes on whoever leads, under no epoch; but the leader alone sends
        again what was in doubt, under its own."""
        now_s = self._timeline.now_s
        began_s = self._drains_s.get(holder, now_s)
        for intent in tables.in_states(IntentState.SENDING):
            key = (intent.client_order_id, intent.attempt)
            attempt = tables.attempts[key]
            if attempt.boot != holder.boot or attempt.epoch != epoch or key not in self._sent_s:
                continue
            if now_s - min(began_s, self._sent_s[key]) < HANDOVER.drain_ms / 1000:
                facts = f"{holder.instance} hands over, and {key[0]} has no answer yet"
                self._blame("handed_over_means_drained", facts)

    def requested(self, epoch: Epoch, running: int) -> None:
        """A request for control was opened, while so many others for that epoch ran (CTL-12)."""
        if running:
            self._blame("one_operation_an_epoch", f"{running + 1} takeovers of epoch {epoch} run")
