"""Why a command ends, and with which exit code (IF-7)."""

from __future__ import annotations

from onefill.core.errors import ConfigurationError, OnefillError

OK = 0
REFUSED = 1
USAGE = 2
UNREACHABLE = 3


class Refused(OnefillError):
    """The other side answered, and said no."""

    remedy = "Mend what the reason names, and try again."

    def __init__(self, message: str, *, status: int = 0, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status


class Unreachable(OnefillError):
    """Nobody answered, or nobody who can act now."""

    remedy = "Start it with `onefill serve`, or name another address with --url."


class Usage(OnefillError):
    """The command cannot be understood."""

    remedy = "`--help` shows how it is meant."


def exit_code(error: OnefillError) -> int:
    """The exit code that tells a script what happened."""
    match error:
        case Unreachable():
            return UNREACHABLE
        case Usage():
            return USAGE
        case Refused() | ConfigurationError():
            return REFUSED
        case _:
            return REFUSED
