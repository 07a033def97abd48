"""JSON as the standard has it and nothing beyond: what senders get wrong is refused, by name."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import NoReturn

import msgspec

from onefill.core.intake.problem import WHOLE_BODY, Problem, shown

DEEPEST = 8
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_encoder = msgspec.json.Encoder(decimal_format="number")


class _Refused(Exception):
    """Carries a problem out of the decoder's hooks."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


def load_object(body: bytes) -> tuple[str, dict[str, object]] | Problem:
    """The text of a body and its one JSON object, every number a Decimal; or why not (SIG-6)."""
    text = _decode(body)
    if isinstance(text, Problem):
        return text
    try:
        value = _decoder.decode(text)
        _check_depth_and_strings(text, value)
    except _Refused as refused:
        return refused.problem
    except RecursionError:
        return _TOO_DEEP
    except json.JSONDecodeError as error:
        return _syntax(error, text)
    except InvalidOperation:
        return Problem(WHOLE_BODY, "holds a number beyond all bounds; send plain digits", "")
    if not isinstance(value, dict):
        return Problem(WHOLE_BODY, 'must be one JSON object, as in {"type": …}', shown(value))
    return text, value


def dump_object(value: dict[str, object]) -> str:
    """The JSON text of an object; Decimals keep every digit."""
    return _encoder.encode(value).decode()


def _decode(body: bytes) -> str | Problem:
    if not body or body.isspace():
        return Problem(WHOLE_BODY, "is empty; send one JSON object", "")
    if body.startswith(_BYTE_ORDER_MARKS):
        return Problem(WHOLE_BODY, "begins with a byte order mark; send UTF-8 without one", "")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        return Problem(WHOLE_BODY, f"is not UTF-8 at byte {error.start}; send UTF-8", "")


def _syntax(error: json.JSONDecodeError, text: str) -> Problem:
    """Says where, and shows nothing of the text: a secret may stand there."""
    if "\x00" in text:
        return Problem(WHOLE_BODY, "holds NUL characters (UTF-16?); send UTF-8 without them", "")
    place = f"line {error.lineno}, column {error.colno}"
    if error.msg == "Extra data":
        return Problem(WHOLE_BODY, f"goes on after the JSON object ({place}); send one only", "")
    return Problem(WHOLE_BODY, f"is not JSON: {error.msg.lower()} ({place})", "")


def _no_constant(name: str) -> NoReturn:
    problem = f"holds {name}, which JSON lacks; send a number, or leave the field out"
    raise _Refused(Problem(WHOLE_BODY, problem, name))


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        problem = "is written more than once; write it once"
        raise _Refused(
            Problem(shown(repeated).strip("'"), problem, f"{names.count(repeated)} times")
        )
    return value


_decoder = json.JSONDecoder(
    parse_float=Decimal,
    parse_int=Decimal,
    parse_constant=_no_constant,
    object_pairs_hook=_without_repeats,
)
_TOO_DEEP = Problem(WHOLE_BODY, f"is nested deeper than {DEEPEST} levels; send a flat object", "")


def _check_depth_and_strings(text: str, value: object) -> None:
    """Only escapes can make a bad string, and only brackets depth: most bodies need no walk."""
    if "\\u" in text or text.count("{") + text.count("[") > DEEPEST:
        _walk(value, 1)


def _walk(value: object, depth: int) -> None:
    if isinstance(value, str):
        _check_string(value)
        return
    if not isinstance(value, dict | list):
        return
    if depth > DEEPEST:
        raise _Refused(_TOO_DEEP)
    if isinstance(value, dict):
        for name in value:
            _check_string(name)
    for inner in value.values() if isinstance(value, dict) else value:
        _walk(inner, depth + 1)


def _check_string(text: str) -> None:
    if "\x00" in text:
        raise _Refused(Problem(WHOLE_BODY, r"holds \u0000 in a text; leave it out", shown(text)))
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        problem = "holds half of a surrogate pair in a text; send whole characters"
        raise _Refused(Problem(WHOLE_BODY, problem, shown(text)))
