"""What may come of taking in a signal, besides that it is durable."""

from __future__ import annotations

from onefill.core.errors import OnefillError


class IntakeUnavailable(OnefillError):
    """The signal is not known to be durable."""

    remedy = "Send the same alert again; if it was logged after all, it is seen as a duplicate."


class SignalUnloggable(IntakeUnavailable):
    """The signal log can't hold this very signal, now or later."""

    remedy = "Send the alert without unusual characters."
