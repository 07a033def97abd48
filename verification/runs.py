"""The runs: each model as it is, each mutant of it, and what each must come to."""

from __future__ import annotations

from dataclasses import dataclass

HOLDS = "holds"
WEDGED = "acceptance cycle"
"""How Spin names an endless run without the progress that was asked for."""
REACHED = "reachable"

EXECUTED_TWICE = "executed<=1"
EXECUTED_AFTER_NO = "state=="
FENCE_BROKEN = "==epoch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One search. defines: the model's switches, as after `#define`.

    expected: HOLDS, or a part of what Spin says is violated. ltl: the liveness property to check
    instead of the assertions alone. reach: a state that must be reachable, so that nothing holds
    because nothing happens. deep: larger bounds, not in the quick set.
    """

    model: str
    defines: tuple[str, ...] = ()
    expected: str = HOLDS
    ltl: str = ""
    reach: str = ""
    deep: bool = False

    @property
    def name(self) -> str:
        """The model, its switches, and what is asked of it."""
        asked = [f"reaches {self.reach}"] if self.reach else [self.ltl] if self.ltl else []
        return " ".join([self.model, *(d.replace(" ", "=") for d in self.defines), *asked])


A, B, C = "CLASS 1", "CLASS 2", "CLASS 3"


def _intents(order_class: str, *mutant: str, expected: str = HOLDS, deep: bool = False) -> Run:
    return Run(model="intents", defines=(order_class, *mutant), expected=expected, deep=deep)


def _reaches(model: str, reach: str, *defines: str) -> Run:
    return Run(model=model, defines=defines, reach=reach, expected=REACHED)


def _fails(model: str, mutant: str, expected: str, ltl: str = "") -> Run:
    return Run(model=model, defines=(mutant,), expected=expected, ltl=ltl)


INTENTS = (
    _intents(A),
    _intents(B),
    _intents(C),
    _intents(A, "EPOCHS 6", deep=True),
    _intents(B, "EPOCHS 4", deep=True),
    _intents(C, "EPOCHS 8", deep=True),
    # The intent's compare-and-set alone bounds the sends.
    _intents(A, "M_NO_FENCE"),
    _intents(B, "M_NO_FENCE", deep=True),
    _intents(C, "M_NO_FENCE"),
    _intents(B, "M_SIGN_AT_SEND", expected=EXECUTED_AFTER_NO),
    _intents(B, "M_NO_WAIT", expected=EXECUTED_AFTER_NO),
    _intents(B, "M_NO_LAG", expected=EXECUTED_AFTER_NO),
    _intents(C, "M_TTL_RERUN", expected=EXECUTED_AFTER_NO),
    # Each of these four goes on to a doubled order.
    _intents(B, "M_SIGN_AT_SEND", "DOUBLES", expected=EXECUTED_TWICE),
    _intents(B, "M_NO_WAIT", "DOUBLES", expected=EXECUTED_TWICE),
    _intents(B, "M_NO_LAG", "DOUBLES", expected=EXECUTED_TWICE),
    _intents(C, "M_TTL_RERUN", "DOUBLES", expected=EXECUTED_TWICE),
    _intents(A, "M_CHECK_TWICE"),  # the venue's own idempotency saves it
    _intents(B, "M_CHECK_TWICE", expected=EXECUTED_TWICE),
    _intents(C, "M_CHECK_TWICE", expected=EXECUTED_TWICE),
    _intents(A, "M_DENIED_RESEND", expected=EXECUTED_AFTER_NO),
    _intents(A, "M_EXPIRE_IN_DOUBT", expected=EXECUTED_AFTER_NO),
    _intents(A, "M_HASTY_PERSON", expected=EXECUTED_AFTER_NO),
    _intents(C, "M_HASTY_PERSON", expected=EXECUTED_AFTER_NO),
    _reaches("intents", "state == ACKED && attempt == 2", A),
    _reaches("intents", "state == ACKED && attempt == 2", B),
    _reaches("intents", "state == ACKED && attempt == 2", C),
    _reaches("intents", "state == EXPIRED && attempt == 2", B),
    _reaches("intents", "state == QUARANTINED && executed == 1", A),
    _reaches("intents", "state == NOT_PLACED", C),
)

LEASE = (
    Run(model="lease"),
    Run(model="lease", defines=("EPOCHS 7",), deep=True),
    _fails("lease", "M_NO_KEY_LOCK", FENCE_BROKEN),
    _fails("lease", "M_NAMES", FENCE_BROKEN),
    _fails("lease", "M_BLIND_TAKE", "expected+1"),
    _reaches("lease", "epoch == 3 && holder == 2 && transaction[2] == 3"),
)

TAKEOVER = (
    Run(model="takeover", ltl="not_starved"),
    Run(model="takeover", ltl="not_wedged"),
    Run(model="takeover", ltl="succeeded"),
    _fails("takeover", "M_NO_BARRED", WEDGED, ltl="not_starved"),
    _fails("takeover", "M_NO_TERMINATE", WEDGED, ltl="not_starved"),
    _fails("takeover", "M_NO_TERMINATE", WEDGED, ltl="succeeded"),
    _fails("takeover", "M_RENEWS_ON", WEDGED, ltl="not_wedged"),
)

DEADLINE = (
    Run(model="deadline"),
    _fails("deadline", "M_FROM_ANSWER", "time<until"),
    _fails("deadline", "GIVE_UP 14", "time<until"),  # longer than the TTL
    _reaches("deadline", "taken && until > GIVE_UP"),
)

HANDOVER = (
    Run(model="handover"),
    Run(model="handover", ltl="settles"),
    Run(model="handover", defines=("CLICKS 3",), deep=True),
    Run(model="handover", defines=("CLICKS 3",), ltl="settles", deep=True),
    _fails("handover", "M_RELEASE_FIRST", "holder!=0"),
    _fails("handover", "M_UNKEYED", "request[epoch]==whom"),
    _fails("handover", "M_LAST_WINS", "promised[expected]==0"),
    _fails("handover", "M_WAIT_FOR_READY", WEDGED, ltl="settles"),
    _reaches("handover", "epoch == 2 && deaths == 0 && mode[2] == ACTIVE && clicks == 2"),
    _reaches("handover", "mode[1] == DRAINING && dead[2] && request[1] == 2"),
)

RUNS = (*INTENTS, *LEASE, *TAKEOVER, *DEADLINE, *HANDOVER)
