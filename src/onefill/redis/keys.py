"""Where the authority keeps what: one prefix for all, and one name for each kind of thing.

store                      id, commits (goes up with each one), signals (the last number)
pause                      the kill switch: v, paused, by, at
signals                    the stream of all that was taken in; entry `17-0` is signal 17
fingerprints               fingerprint → signal's number: what deduplicates
undecided, undecided-exits places of undecided signals, in the order of lane, time, number
signal:{number}            how far it has come; :intents, :steps
lane:{lane}                v, blocked, last_decided, marks; :intents and :positions, live ones
intent:{id}                v, body (JSON), what it belongs to, whose attempt; :attempts, :fills
intents:{state}            those that somebody must look after, by their last change
intents                    all, by their making
position:{id}              v, body (JSON); :intents
positions, exits           the live ones; lanes of those with an exit to issue, by its time
orders:{broker}            a broker's order id → our intent
accepted:{broker}/{account}  orders that no intent explains, and that a person has looked at
"""

from __future__ import annotations

PREFIX = "{onefill}:"
LEASE = "ginie:lease:leader"
"""The lease that fences; beside it are the keys that the dashboards of old look at (AP-1)."""

STORE = PREFIX + "store"
PAUSE = PREFIX + "pause"
SIGNALS = PREFIX + "signals"
FINGERPRINTS = PREFIX + "fingerprints"
UNDECIDED = PREFIX + "undecided"
UNDECIDED_EXITS = PREFIX + "undecided-exits"
INTENTS = PREFIX + "intents"
POSITIONS = PREFIX + "positions"
POSITIONS_EVER = PREFIX + "positions-ever"
EXITS = PREFIX + "exits"
BLOCKED = PREFIX + "blocked"
AUDIT = PREFIX + "audit"
RECONCILIATIONS = PREFIX + "reconciliations"
JOBS = PREFIX + "jobs"
INSTANCES = PREFIX + "instances"


def key(kind: str, name: object, part: str = "") -> str:
    """The key of one thing, or of one part of it."""
    return f"{PREFIX}{kind}:{name}:{part}" if part else f"{PREFIX}{kind}:{name}"
