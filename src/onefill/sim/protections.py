"""The protections that can be taken away, one by one, to see that their absence is noticed."""

from __future__ import annotations

import enum
from collections.abc import Set as AbstractSet


class Protection(enum.StrEnum):
    """A protection by name; PURPOSE says what it is for."""

    FENCE = "fence"
    BAR = "bar"
    DRAIN = "drain"
    TRUST = "trust"
    REQUEST = "request"
    LANE = "lane"
    CLAIM = "claim"
    REREAD = "reread"
    SIGNING = "signing"
    DEADLINE = "deadline"
    WAIT = "wait"
    LAG = "lag"
    QUARANTINE = "quarantine"
    IDENTITY = "identity"
    DEDUP = "dedup"
    DURABLE = "durable"
    DOUBT = "doubt"
    EVIDENCE = "evidence"


P = Protection

PURPOSE = {
    P.FENCE: "a guarded transaction checks its epoch, and the epoch waits for its end",
    P.BAR: "a taker first bars new fences and ends the old holder's sessions",
    P.DRAIN: "who hands control over has finished what it sent, and begun nothing more",
    P.TRUST: "a holder stops by itself before its lease ends",
    P.REQUEST: "there is one request for control for each epoch",
    P.LANE: "a lane's row is locked while its next step is decided",
    P.CLAIM: "a claim compares the intent's state and attempt before it sets them",
    P.REREAD: "after a commit of unknown outcome the attempt is read again",
    P.SIGNING: "a request is signed before its claim commits, not when it is sent",
    P.DEADLINE: "nothing is written to the socket after send_by",
    P.WAIT: "absence is believed only when the request has expired at the venue (class B)",
    P.LAG: "and when the venue's own lag is over as well (class B)",
    P.QUARANTINE: "what can't be looked up goes to a person, never out again (class C)",
    P.IDENTITY: "the client order id is derived, the same for each attempt",
    P.DEDUP: "the log is unique by fingerprint",
    P.DURABLE: "a signal is acknowledged after its commit, not before",
    P.DOUBT: "a lane with an order in doubt takes no new exposure",
    P.EVIDENCE: "what a broker said is stored whoever leads",
}

Without = AbstractSet[Protection]
EVERYTHING: Without = frozenset()
