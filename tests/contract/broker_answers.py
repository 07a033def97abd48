"""What brokers answer to an order, what was true then, and what may be concluded from it.

Recorded from their documents and from reports of customers. The venue is made to give exactly
these answers, where the order was made (`DONE`), is made later (`LATE`) or never was (`NOT_DONE`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DONE, LATE, NOT_DONE = "lying_400", "late", "error_before"
"""The venue's faults that make each of them true, whatever is answered."""

PLACED, REFUSED, RETRY, UNKNOWN = "placed", "refused", "not placed, may be retried", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One answer. Conclusions by what was true; where ids can't be looked up, `nameless` ones."""

    status: int
    body: dict[str, Any] | str
    concluded: dict[str, str]
    nameless: dict[str, str] | None = None

    @property
    def holds_back(self) -> bool:
        """Whether the account may not even ask after it."""
        return self.status in (418, 429)

    @property
    def name(self) -> str:
        """For people."""
        words = self.body if isinstance(self.body, str) else " ".join(map(str, self.body.values()))
        return f"{self.status} {words[:40]}"

    def conclusions(self, finds_by_id: bool) -> dict[str, str]:
        """What may be concluded by a broker with or without look-ups by our id."""
        return self.concluded if finds_by_id or self.nameless is None else self.nameless


ALWAYS_UNKNOWN = {DONE: UNKNOWN, LATE: UNKNOWN, NOT_DONE: UNKNOWN}
NEVER_PLACED = {NOT_DONE: REFUSED}
ANOTHER_TRY = {NOT_DONE: RETRY}
BELIEVED_AFTER_A_LOOK = {NOT_DONE: RETRY, DONE: PLACED}
ADOPTED_AFTER_A_LOOK = {DONE: PLACED, NOT_DONE: UNKNOWN, LATE: UNKNOWN}
TWO = {DONE: UNKNOWN, NOT_DONE: UNKNOWN}


def _binance(status: int, code: int, message: str, concluded: dict[str, str]) -> Row:
    is_looked_up = concluded in (BELIEVED_AFTER_A_LOOK, ADOPTED_AFTER_A_LOOK)
    body = {"code": code, "msg": message}
    nameless = dict.fromkeys(concluded, UNKNOWN) if is_looked_up else None
    return Row(status=status, body=body, concluded=concluded, nameless=nameless)


BINANCE = [
    # Transport and the inside of the venue: the order may be anywhere.
    _binance(400, -1000, "An unknown error occurred while processing the request.", ALWAYS_UNKNOWN),
    _binance(400, -1006, "An unexpected response was received from the bus.", ALWAYS_UNKNOWN),
    _binance(
        408,
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; "
        "execution status unknown.",
        ALWAYS_UNKNOWN,
    ),
    _binance(
        503,
        -1000,
        "Unknown error, please check your request or try again later.",
        ALWAYS_UNKNOWN,
    ),
    Row(status=502, body="<html>Bad Gateway</html>", concluded=ALWAYS_UNKNOWN),
    Row(status=504, body="", concluded=ALWAYS_UNKNOWN),
    Row(status=403, body="<html>The firewall says no.</html>", concluded=ALWAYS_UNKNOWN),
    # Not placed, says the venue, and a look-up must agree before another try.
    _binance(503, -1, "Service Unavailable.", BELIEVED_AFTER_A_LOOK),
    _binance(
        503,
        -1001,
        "Internal error; unable to process your request. Please try again.",
        BELIEVED_AFTER_A_LOOK,
    ),
    _binance(503, -1008, "Request throttled by system-level protection.", BELIEVED_AFTER_A_LOOK),
    # Outside the window: never executed.
    _binance(400, -1021, "Timestamp for this request is outside of the recvWindow.", ANOTHER_TRY),
    _binance(400, -5028, "The requested timestamp is outside the recvWindow.", ANOTHER_TRY),
    # The account is in the other position mode: read it again, then another try.
    _binance(400, -4061, "Order's position side does not match user's setting.", ANOTHER_TRY),
    _binance(429, -1003, "Too many requests.", ANOTHER_TRY),
    _binance(418, -1003, "Way too many requests; IP banned.", ANOTHER_TRY),
    _binance(429, -1015, "Too many new orders.", ANOTHER_TRY),
    # An order of this id is there.
    _binance(400, -4116, "ClientOrderId is duplicated.", ADOPTED_AFTER_A_LOOK),
    # Words about other orders than the one that was sent: they prove nothing about it.
    _binance(400, -2013, "Order does not exist.", TWO),
    _binance(400, -2011, "Unknown order sent.", TWO),
    _binance(400, -4046, "No need to change margin type.", TWO),
    _binance(400, -4059, "No need to change position side.", TWO),
    # Refused before an order was made.
    _binance(400, -2021, "Order would immediately trigger.", NEVER_PLACED),
    _binance(400, -2022, "ReduceOnly Order is rejected.", NEVER_PLACED),
    _binance(400, -4015, "Client order id is not valid.", NEVER_PLACED),
    _binance(400, -2019, "Margin is insufficient.", NEVER_PLACED),
    _binance(400, -1111, "Precision is over the maximum defined for this asset.", NEVER_PLACED),
    _binance(400, -1121, "Invalid symbol.", NEVER_PLACED),
    _binance(400, -4120, "Order type not supported for this endpoint.", NEVER_PLACED),
    _binance(400, -4130, "An open stop order on this side closes the position.", NEVER_PLACED),
    _binance(401, -2015, "Invalid API-key, IP, or permissions for action.", NEVER_PLACED),
    # The right code in the wrong place.
    _binance(500, -2019, "Margin is insufficient.", TWO),
    _binance(200, -2019, "Margin is insufficient.", TWO),
    Row(status=400, body={"code": "-2019", "msg": "Margin is insufficient."}, concluded=TWO),
]


def _openalgo(status: int, message: object, concluded: dict[str, str], **more: str) -> Row:
    body = {"status": "error", "message": message, **more}
    return Row(status=status, body=body, concluded=concluded)


_ASK_THE_BOOK = "Order request timed out. Please check the order book and confirm before placing."

OPENALGO = [
    # What brokers behind it say, passed on: it lies.
    _openalgo(400, _ASK_THE_BOOK, ALWAYS_UNKNOWN),
    _openalgo(500, _ASK_THE_BOOK, ALWAYS_UNKNOWN),
    _openalgo(400, "Failed to place order", ALWAYS_UNKNOWN),
    _openalgo(400, "Gateway timed out", ALWAYS_UNKNOWN),
    _openalgo(500, "Failed to place order due to internal error", ALWAYS_UNKNOWN),
    _openalgo(500, "An unexpected error occurred in the API endpoint", ALWAYS_UNKNOWN),
    _openalgo(500, "Insufficient funds", TWO),
    _openalgo(503, "Service Unavailable.", TWO),
    Row(status=502, body="<html>Bad Gateway</html>", concluded=ALWAYS_UNKNOWN),
    # In the forms of its own client, which a proxy of somebody's making may pass on.
    _openalgo(
        400,
        "Request timed out. The server took too long to respond.",
        ALWAYS_UNKNOWN,
        error_type="timeout_error",
    ),
    _openalgo(
        400,
        'HTTP 400: {"status":"error","message":"Insufficient funds"}',
        TWO,
        error_type="http_error",
    ),
    _openalgo(
        200,
        "Failed to connect to the server. Please check if the server is running.",
        TWO,
        error_type="connection_error",
    ),
    _openalgo(200, "Invalid JSON response from server", TWO, error_type="json_error"),
    _openalgo(200, "An unexpected error occurred: 'orderid'", TWO, error_type="unknown_error"),
    _openalgo(200, "Insufficient funds", TWO, error_type="api_error"),
    # A success that names no order.
    Row(status=200, body={"status": "success"}, concluded=TWO),
    Row(status=200, body={"status": "success", "orderid": None}, concluded=TWO),
    # What it says itself before it asks a broker, or what all brokers say alike.
    _openalgo(403, "Invalid openalgo apikey", NEVER_PLACED),
    _openalgo(404, "Broker-specific module not found", NEVER_PLACED),
    _openalgo(400, "Missing mandatory field(s): quantity", NEVER_PLACED),
    _openalgo(400, "Invalid exchange. Must be one of: NSE, NFO", NEVER_PLACED),
    _openalgo(400, {"quantity": ["Not a valid integer."]}, NEVER_PLACED),
    _openalgo(400, "Symbol NIFTY not found for exchange NFO", NEVER_PLACED),
    _openalgo(400, "Insufficient funds: the required margin exceeds it.", NEVER_PLACED),
    _openalgo(429, "60 per 1 minute", ANOTHER_TRY),
]
