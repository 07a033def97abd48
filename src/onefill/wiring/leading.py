"""The right to lead: who may, who does, and how it changes hands."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from onefill.config.settings import Mode, Settings, Topology
from onefill.core.control.handover import HandoverTiming
from onefill.core.control.lease import LeaseTiming
from onefill.core.ids import Epoch
from onefill.lead.damping import Damping
from onefill.lead.elector import Elector
from onefill.lead.giving import Giving, Stepping
from onefill.lead.takeover import Surface, Takeover
from onefill.node.leadership import Leadership
from onefill.node.split_brain import SplitBrainCheck
from onefill.node.term import Term
from onefill.node.work import Work
from onefill.ports.lease import LEADER
from onefill.wiring.given import Given, heir_of

STALE_AFTER_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Leading:
    """The right to lead, and what keeps it. beside: loops that nothing waits for."""

    elector: Elector
    leadership: Leadership
    takeover: Takeover
    giving: Giving
    beside: tuple[Callable[[], Coroutine[Any, Any, None]], ...]


def build_leading(given: Given, term: Term, work: Work) -> Leading:
    """All of it, for what is done in a term."""
    leadership = _leadership(given, term)
    elector = _elector(given, leadership)
    giving = _giving(given, elector, leadership)
    given.safety.connect(leadership.resumed)
    leadership.connect(
        fenced=elector.fenced,
        check=_check(given),
        survived=lambda epoch, reason: given.stores.history.survived(
            LEADER, epoch, given.me, reason
        ),
        leads=partial(given.stores.history.write_up, LEADER),
    )
    return Leading(
        elector=elector,
        leadership=leadership,
        takeover=_takeover(given, elector, work),
        giving=giving,
        beside=_beside(given, elector),
    )


def _leadership(given: Given, term: Term) -> Leadership:
    return Leadership(
        term=term,
        state=given.state,
        metrics=given.metrics,
        sync=given.sync,
        log_context=given.context,
        clock=given.clock,
        is_sole_authority=given.settings.topology is Topology.SHARED_REDIS,
        goes_on=given.settings.mode is Mode.ACTIVE_ACTIVE,
    )


def _elector(given: Given, leadership: Leadership) -> Elector:
    return Elector(
        store=given.stores.leases,
        me=given.me,
        heir=heir_of(given.settings, given.me.instance),
        timing=_lease_timing(given.settings),
        clock=given.clock,
        vigil=given.stores.vigil,
        others=partial(given.stores.instances.others, given.me, STALE_AFTER_S),
        watcher=leadership,
    )


def _lease_timing(settings: Settings) -> LeaseTiming:
    lease = settings.lease
    return LeaseTiming(
        ttl_ms=settings.lease_ttl_ms,
        renew_every_ms=lease.renew_every_ms,
        call_timeout_ms=lease.call_timeout_ms,
        give_up_ms=lease.give_up_ms,
    )


def _takeover(given: Given, elector: Elector, work: Work) -> Takeover:
    state = given.state

    async def prove() -> str | None:
        if state.refused:
            return f"this instance may not send: {next(iter(state.refused.values()))}"
        if state.brokers_away:
            return f"this instance does not reach {', '.join(sorted(state.brokers_away))}"
        if not await work.proves_whole():
            return "the stored book breaks its promises; see `onefill doctor`, then start it again"
        return None

    return Takeover(
        me=given.me,
        elector=elector,
        leases=given.stores.leases,
        requests=given.stores.handovers,
        messages=given.messages,
        surface=Surface(is_active=lambda: state.is_active, move=state.move, prove=prove),
        timing=_timing(given.settings),
        ttl_ms=given.settings.lease_ttl_ms,
        metrics=given.metrics,
        clock=given.clock,
    )


def _giving(given: Given, elector: Elector, leadership: Leadership) -> Giving:
    return Giving(
        me=given.me,
        elector=elector,
        requests=given.stores.handovers,
        messages=given.messages,
        others=partial(given.stores.instances.others, given.me, STALE_AFTER_S),
        stepping=Stepping(down=leadership.step_down, stepped_down=leadership.stepped_down),
        timing=_timing(given.settings),
        clock=given.clock,
    )


def _timing(settings: Settings) -> HandoverTiming:
    takeover = settings.takeover
    return HandoverTiming(drain_ms=takeover.drain_ms, forced_after_ms=takeover.forced_after_ms)


def _check(given: Given) -> Callable[[Epoch], None]:
    """After each renewal: the witness of epochs."""
    check = SplitBrainCheck(
        witness=given.witness,
        me=given.me.instance,
        metrics=given.metrics,
        ahead=given.safety.witness_ahead,
    )
    return check.renewed


def _beside(given: Given, elector: Elector) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
    if not given.settings.lease.flap_damping:
        return ()
    damping = Damping(
        elector=elector,
        timing=_lease_timing(given.settings),
        wrong_takeovers=partial(given.stores.history.wrong_takeovers, LEADER),
        clock=given.clock,
    )
    return (damping.run,)
