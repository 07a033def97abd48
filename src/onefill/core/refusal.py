"""Why not: each refusal has a code, the status in which its signal ends, and a remedy."""

from __future__ import annotations

import enum

from onefill.core.signal import SignalStatus

_S = SignalStatus


class Refusal(enum.Enum):
    """Reasons not to trade, in order of precedence: the first that holds is the one told.

    The codes are the `reason` of a signal (SIG-14). The remedies speak to the trader.
    """

    ENGINE_NOT_AVAILABLE = (
        "engine_not_available",
        _S.REJECTED,
        "This instance does not run that engine; send the alert to one that does.",
    )
    UNKNOWN_INSTRUMENT = (
        "unknown_instrument",
        _S.REJECTED,
        "Add a block for the instrument to the configuration.",
    )
    WRONG_SLOT = (
        "wrong_slot",
        _S.REJECTED,
        "Long_1 is the base and the others are pyramids; correct the alert's message.",
    )
    PAUSED = ("paused", _S.REJECTED, "An operator paused trading; resume it first.")
    OUTSIDE_HOURS = (
        "outside_hours",
        _S.REJECTED,
        "The exchange is closed; send entries while it trades (`market_hours` in the settings).",
    )
    TOO_OLD = (
        "too_old",
        _S.EXPIRED,
        "The alert came too late to be worth executing; look why it was slow, or raise max_age.",
    )
    OVERTAKEN = (
        "overtaken",
        _S.IGNORED,
        "Nothing to do: a later signal of the same lane was decided before this one.",
    )
    REPEATED = (
        "repeated",
        _S.IGNORED,
        "Nothing to do; if both were meant, send an order_id with each.",
    )
    LANE_BLOCKED = (
        "lane_blocked",
        _S.BLOCKED,
        "Settle what blocks the lane (`onefill status` names it), then `onefill unblock` it.",
    )
    NOTHING_TO_CLOSE = (
        "nothing_to_close",
        _S.IGNORED,
        "Nothing to do: no such position is open.",
    )
    ALREADY_CLOSING = (
        "already_closing",
        _S.IGNORED,
        "Nothing to do: the position is being closed.",
    )
    TARGET_REACHED = ("target_reached", _S.IGNORED, "Nothing to do: the target is held already.")
    STOPPED = (
        "stopped",
        _S.BLOCKED,
        "The signal's own price is below the stop of what is held, which is being sold.",
    )
    SLOT_TAKEN = (
        "slot_taken",
        _S.IGNORED,
        "The slot holds a position; close it first, or use another slot.",
    )
    PRICE_DIVERGENCE = (
        "price_divergence",
        _S.REJECTED,
        "The signal's price is far from the market's; look at the alert's symbol and delay.",
    )
    NO_QUOTE = (
        "no_quote",
        _S.REJECTED,
        "The broker gave no price to compare with; look whether it answers, or trade without "
        "(`quotes.missing` in the settings).",
    )
    MARGIN_USE = (
        "margin_use",
        _S.BLOCKED,
        "Too much of equity is bound as margin already; close something, or pay in.",
    )
    INVALID_RISK = (
        "invalid_risk",
        _S.REJECTED,
        "The stop must be below the price; correct the alert's message.",
    )
    BASE_NOT_OPEN = (
        "base_not_open",
        _S.BLOCKED,
        "A pyramid stands on an open base position; open Long_1 first.",
    )
    PYRAMIDS_MAX = (
        "pyramids_max",
        _S.BLOCKED,
        "The instrument has its largest number of pyramids; raise it in the configuration.",
    )
    ONE_R = (
        "one_r",
        _S.BLOCKED,
        "The base has not gained more than its initial risk yet; wait for a higher price.",
    )
    SPACING = (
        "spacing",
        _S.BLOCKED,
        "The price is less than half an ATR above the last entry; wait for a higher price.",
    )
    NOT_IN_PROFIT = (
        "not_in_profit",
        _S.BLOCKED,
        "The instrument's positions lose together; pyramids add to winners only.",
    )
    SIZE_RISK = ("risk", _S.BLOCKED, "One lot risks more than the allowed part of equity.")
    SIZE_VOLATILITY = (
        "volatility",
        _S.BLOCKED,
        "One lot moves by more than the allowed part of equity in one ATR.",
    )
    SIZE_MARGIN = ("margin", _S.BLOCKED, "The free margin does not carry one lot.")
    SIZE_GEOMETRIC = (
        "geometric_0.5^n",
        _S.BLOCKED,
        "Half of the step below is less than one lot; the pyramid is complete.",
    )
    SIZE_RISK_BUDGET = (
        "risk_budget",
        _S.BLOCKED,
        "Half of the base's excess profit does not pay for one lot's risk yet.",
    )
    NO_LOTS = ("no_lots", _S.BLOCKED, "The signal asks for no lots, and signals size here.")
    RISK_CAP = ("risk_cap", _S.BLOCKED, "The portfolio's risk is at its cap; close or wait.")
    VOLATILITY_CAP = (
        "volatility_cap",
        _S.BLOCKED,
        "The portfolio's volatility is at its cap; close or wait.",
    )
    MARGIN_CAP = ("margin_cap", _S.BLOCKED, "The portfolio's margin is at its cap; close or wait.")
    PYRAMID_RISK_CAP = (
        "pyramid_risk_cap",
        _S.BLOCKED,
        "With this pyramid the portfolio's risk would pass the cap for pyramids.",
    )
    PYRAMID_VOLATILITY_CAP = (
        "pyramid_volatility_cap",
        _S.BLOCKED,
        "With this pyramid the portfolio's volatility would pass the cap for pyramids.",
    )
    LIMIT_QUANTITY = (
        "limit_quantity",
        _S.BLOCKED,
        "The order is larger than the account's limit; look why, then unblock the lane.",
    )
    LIMIT_NOTIONAL = (
        "limit_notional",
        _S.BLOCKED,
        "The order is worth more than the account's limit (or no price is known to judge it by); "
        "look why, then unblock the lane.",
    )
    LIMIT_ORDERS = (
        "limit_orders",
        _S.BLOCKED,
        "The account has placed its most orders in a minute; look why, then unblock the lane.",
    )
    LIMIT_LOSS = (
        "limit_loss",
        _S.BLOCKED,
        "The account has lost its most for a day; nothing opens there before tomorrow.",
    )

    def __init__(self, code: str, status: SignalStatus, remedy: str) -> None:
        self.code = code
        self.status = status
        self.remedy = remedy

    @classmethod
    def of(cls, code: str) -> Refusal | None:
        """The refusal with that code, or None when the reason is not a refusal."""
        return next((refusal for refusal in cls if refusal.code == code), None)
