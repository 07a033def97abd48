"""The tree of errors. Each carries facts and a remedy, and says whose fault it is."""

from __future__ import annotations


class OnefillError(Exception):
    """Anything that onefill itself reports; `remedy` tells a person what to do next."""

    remedy: str = "See the log for the facts."

    def __init__(self, message: str = "", *, remedy: str | None = None, **facts: object) -> None:
        super().__init__(message or type(self).__doc__ or type(self).__name__)
        self.facts = facts
        if remedy is not None:
            self.remedy = remedy

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{super().__str__()} ({facts})" if facts else super().__str__()


class Bug(OnefillError):
    """A promise of this program is broken; nobody outside can mend it."""

    remedy = "Stop, keep the log, and report it: this is a defect of onefill."


class ConfigurationError(OnefillError):
    """The configuration cannot work as written."""

    remedy = "Mend the named settings; `onefill config check` lists them all."


class Fenced(OnefillError):
    """The epoch of this transaction is over: another instance may act now."""

    remedy = "Nothing to do: this instance stops acting and becomes a standby."


class NameTaken(OnefillError):
    """Another process runs under this instance's name."""

    remedy = "Stop one of the two, or give one another name (`instance_id`)."


class StoreUnavailable(OnefillError):
    """The database did not answer in time; nothing is known to be written."""

    remedy = "Check that PostgreSQL runs and is reachable; onefill reconnects by itself."


class CommitUnknown(StoreUnavailable):
    """The connection broke during a commit: it may or may not have been written."""

    remedy = "Nothing to do: the outcome is read again before anything is repeated."


class BrokerUnavailable(OnefillError):
    """The broker did not answer, or not in a way that can be used; nothing was ordered by it."""

    remedy = "Check the broker's address and login with `onefill doctor`; onefill asks again."


class OutcomeUnknown(OnefillError):
    """The broker may or may not have the order."""

    remedy = "Ask the broker by client order id before anything is sent again."


def invariant(holds: bool, promise: str, **facts: object) -> None:
    """Raise Bug with the facts when a promise does not hold; never switched off."""
    if not holds:
        bug = Bug(f"broken promise: {promise}")
        bug.facts = facts
        raise bug
