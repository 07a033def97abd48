"""Requests and replies as the dialects see them, and JSON with exact decimals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qsl

import msgspec

from onefill.core.money import plain

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(slots=True)
class Request:
    """One HTTP request, read to its end."""

    method: str
    path: str
    query: str = ""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    received_at: int = 0
    """Microseconds since 1970, in the venue's time."""
    caller: str = ""
    """The address from which it came."""

    def header(self, name: bytes) -> str | None:
        """The value of the header with this lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None

    def form(self) -> dict[str, str]:
        """The parameters of the query string and of a form body together; the body wins."""
        pairs = parse_qsl(self.query, keep_blank_values=True)
        if self.body:
            pairs += parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        return dict(pairs)

    def json(self) -> dict[str, object] | None:
        """The JSON object in the body, numbers with a point as Decimal; None if it is none."""
        try:
            value = _decoder.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, InvalidOperation):
            return None
        return value if isinstance(value, dict) else None


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and a body of JSON; headers beside type and length."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def answer(value: object, status: int = 200) -> Reply:
    """The value as JSON; Decimals become exact numbers."""
    return Reply(status, _encoder.encode(value))


def decimal_of(value: object) -> Decimal | None:
    """The finite number that a text or a JSON number states exactly; None if it states none."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def integer_of(value: object) -> int | None:
    """The whole number that a text or a JSON number states; None if it states none."""
    number = decimal_of(value)
    return int(number) if number is not None and number == number.to_integral_value() else None


def exact(value: Decimal) -> Decimal:
    """The same number, written without exponent when it becomes JSON."""
    return Decimal(plain(value))


def texts(fields: Mapping[str, object]) -> dict[str, str]:
    """The fields as text, so that faults can be matched against them."""
    return {name: str(value) for name, value in fields.items()}
