"""Bytes that are no signal: each is told why, and none gets through."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onefill.core.intake.parse import Invalid, Valid, parse, read
from onefill.core.intake.signal_time import Zones
from onefill.core.signal import Signal, fingerprint

NOW = datetime(2026, 1, 15, 9, 15, 30, tzinfo=UTC)
ZONES = Zones.named({}, "Europe/Berlin")
GOOD = '{"action":"buy","ticker":"SIM001","contracts":1,"timestamp":"2026-01-15T09:15:00Z"}'


def with_field(text: str) -> bytes:
    return (GOOD[:-1] + "," + text + "}").encode("utf-8", "surrogatepass")


@pytest.mark.req("SIG-6")
@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        (b"", "body", "empty"),
        (b" \r\n\t", "body", "empty"),
        (b"null", "body", "one JSON object"),
        (b"[]", "body", "one JSON object"),
        (b'"text"', "body", "one JSON object"),
        (b"17", "body", "one JSON object"),
        (b"buy SIM001", "body", "not JSON"),
        (GOOD[:-1].encode(), "body", "not JSON"),
        (GOOD.encode() + b"x", "body", "goes on"),
        (GOOD.encode() * 2, "body", "goes on"),
        (GOOD.replace('"', "'").encode(), "body", "not JSON"),
        (with_field('"price": NaN'), "body", "NaN"),
        (with_field('"price": Infinity'), "body", "Infinity"),
        (with_field('"price": -Infinity'), "body", "-Infinity"),
        (with_field('"price": 01'), "body", "not JSON"),
        (with_field('"price": .5'), "body", "not JSON"),
        (with_field('"price": 0x10'), "body", "not JSON"),
        (with_field('"contracts": 2'), "contracts", "more than once"),
        (with_field('"a": {"b": 1, "b": 2}'), "b", "more than once"),
        (with_field('"price": 1e999999999999999999999999'), "body", "beyond all bounds"),
        (with_field('"price": 1e999'), "price", "above 0"),
        (with_field('"price": 1e-999'), "price", "above 0"),
        (with_field('"price": ' + "9" * 5000), "price", "above 0"),
        (with_field('"price": 0.' + "3" * 5000), "price", "above 0"),
        (with_field('"a": ' + "[" * 9 + "]" * 9), "body", "nested"),
        (with_field('"a": ' + "[" * 7000 + "]" * 7000), "body", "nested"),
        (b"[" * 16000, "body", "nested"),
        (b'{"a":' * 3000, "body", "nested"),
        (with_field(r'"a": "\ud800"'), "body", "surrogate"),
        (with_field(r'"\udc00": 1'), "body", "surrogate"),
        (with_field(r'"a": [{"b": "\u0000"}]'), "body", "u0000"),
        (with_field('"a": "\ud800"'), "body", "UTF-8"),
        (with_field('"a": "\x01"'), "body", "not JSON"),
        (GOOD.encode("utf-8-sig"), "body", "byte order mark"),
        (GOOD.encode("utf-16"), "body", "byte order mark"),
        (GOOD.encode("utf-16-le"), "body", "NUL"),
        (GOOD.encode("utf-32-be"), "body", "NUL"),
        (b"\xff" + GOOD.encode(), "body", "not UTF-8"),
        (GOOD.replace("SIM001", "SIMé").encode("latin-1"), "body", "not UTF-8"),
    ],
)
def test_a_broken_body_is_told_what_breaks_it(body: bytes, field: str, words: str) -> None:
    result = parse(body, now=NOW, zones=ZONES)
    assert isinstance(result, Invalid)
    assert [one.field for one in result.problems] == [field]
    assert words in result.problems[0].problem


@pytest.mark.req("SIG-6")
def test_nesting_within_bounds_is_kept() -> None:
    body = with_field('"a": {"b": {"c": [[["\\u00e9"]]]}}')
    assert isinstance(parse(body, now=NOW, zones=ZONES), Valid)


@pytest.mark.req("SIG-6")
def test_what_was_got_is_shown_shortened() -> None:
    result = parse(with_field('"type": "' + "x" * 9000 + '"'), now=NOW, zones=ZONES)
    assert isinstance(result, Invalid)
    assert len(result.problems[0].got) < 80


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    (
        *("action", "ticker", "contracts", "timestamp", "type", "instrument", "position"),
        *("price", "stop", "lots", "atr", "er", "supertrend", "reason", "order_id", "test"),
        *("market_position", "position_size", "symbol", "size", "portfolio", "secret", "roc"),
    )
)
plausible = st.sampled_from(
    (
        *("buy", "close", "OPEN_LONG", "BASE_ENTRY", "EXIT", "MARKET_DATA", "Long_1", "ALL"),
        *("BANK_NIFTY", "2026-01-15T09:15:00Z", 1768468500, "long", "flat", "limit"),
        *("1", "1e3", 1, 0, 0.5, -2, True, "{{close}}"),
    )
)
bodies = st.dictionaries(names | st.text(max_size=5), plausible | json_values, max_size=14)


def check(body: bytes) -> None:
    result = parse(body, now=NOW, zones=ZONES)
    if isinstance(result, Invalid):
        assert result.problems
        for problem in result.problems:
            assert problem.field or body
            assert len(problem.problem.split()) >= 3
        return
    assert read(result.payload, zones=ZONES) == result.signal
    assert len(fingerprint(result.signal)) == 32
    assert result.signal.time <= NOW + timedelta(seconds=60)
    assert all(value.is_finite() for value in decimals(result.signal))
    result.payload.encode()


def decimals(signal: Signal) -> list[Decimal]:
    values = [getattr(signal, name) for name in Signal.__slots__]
    return [value for value in values if isinstance(value, Decimal)]


@pytest.mark.req("SIG-6", "Q-5")
@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(body: bytes) -> None:
    check(body)


@pytest.mark.req("SIG-6", "Q-5")
@given(bodies, st.booleans())
def test_arbitrary_json_is_a_sound_signal_or_told_why_not(
    body: dict[str, object], escaped: bool
) -> None:
    check(json.dumps(body, ensure_ascii=escaped).encode("utf-8", "surrogatepass"))


@pytest.mark.req("SIG-6", "Q-5")
@given(st.integers(0, len(GOOD)), st.integers(0, 4), st.binary(max_size=4))
def test_a_damaged_body_never_raises(at: int, gone: int, put: bytes) -> None:
    good = GOOD.encode()
    check(good[:at] + put + good[at + gone :])
