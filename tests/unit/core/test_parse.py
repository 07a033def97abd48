"""What a webhook's body may say, and what is answered where it may not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onefill.core.errors import Bug
from onefill.core.intake.parse import Invalid, Valid, parse, read
from onefill.core.intake.signal_time import Zones
from onefill.core.signal import Engine, Signal, SignalKind, fingerprint, second_of

NOW = datetime(2026, 1, 15, 9, 15, 30, tzinfo=UTC)
ZONES = Zones.named({"BANK_NIFTY": "Asia/Kolkata"})
ENTRY: dict[str, object] = {
    "type": "BASE_ENTRY",
    "instrument": "BANK_NIFTY",
    "position": "Long_1",
    "price": 52000.5,
    "stop": 51650.25,
    "lots": 3,
    "atr": 350.5,
    "er": 0.82,
    "supertrend": 51650.25,
    "timestamp": "2026-01-15T09:15:00Z",
}
ORDER: dict[str, object] = {
    "action": "buy",
    "ticker": "SIM001",
    "contracts": 2,
    "timestamp": "2026-01-15T09:15:00Z",
}
TARGET: dict[str, object] = {
    "ticker": "SIM001",
    "market_position": "short",
    "position_size": "2.5",
    "timestamp": "2026-01-15T09:15:00Z",
}
PILOT: dict[str, object] = {
    "action": "OPEN_LONG",
    "symbol": "BTCUSDT",
    "size": "0.01",
    "timestamp": 1768468500,
}


def outcome(body: dict[str, object] | str | bytes, **changes: object) -> Valid | Invalid:
    if isinstance(body, dict):
        fields = {**body, **changes}
        body = json.dumps({name: value for name, value in fields.items() if value != "absent"})
    return parse(body.encode() if isinstance(body, str) else body, now=NOW, zones=ZONES)


def signal(body: dict[str, object] | str, **changes: object) -> Signal:
    result = outcome(body, **changes)
    assert isinstance(result, Valid), result
    return result.signal


def faults(body: dict[str, object] | str | bytes, **changes: object) -> dict[str, str]:
    result = outcome(body, **changes)
    assert isinstance(result, Invalid), result
    return {problem.field: problem.problem for problem in result.problems}


@pytest.mark.req("SIG-4")
def test_a_base_entry_is_read_with_every_digit() -> None:
    entry = signal(ENTRY, roc=-2.125, strategy="trend", order_id="o-1", reason="breakout")
    assert entry == Signal(
        engine=Engine.PORTFOLIO,
        kind=SignalKind.BASE_ENTRY,
        portfolio="main",
        instrument="BANK_NIFTY",
        time=datetime(2026, 1, 15, 9, 15, tzinfo=UTC),
        position="Long_1",
        price=Decimal("52000.5"),
        stop=Decimal("51650.25"),
        atr=Decimal("350.5"),
        er=Decimal("0.82"),
        roc=Decimal("-2.125"),
        supertrend=Decimal("51650.25"),
        lots=3,
        reason="breakout",
        order_id="o-1",
        strategy="trend",
    )


@pytest.mark.req("SIG-4")
@pytest.mark.parametrize("field", [name for name in ENTRY if name != "type"])
@pytest.mark.parametrize("gone", ["absent", None])
def test_each_required_field_is_missed_by_name(field: str, gone: object) -> None:
    assert "is missing; write" in faults(ENTRY, **{field: gone})[field]


@pytest.mark.req("SIG-4")
def test_a_body_without_type_is_told_the_types() -> None:
    assert "BASE_ENTRY, PYRAMID, EXIT, MARKET_DATA" in faults(ENTRY, type="absent")["type"]


@pytest.mark.req("SIG-4")
@pytest.mark.parametrize("written", ["pyramid", "Pyramid", " PYRAMID "])
def test_the_type_may_be_in_any_case(written: str) -> None:
    assert signal(ENTRY, type=written, position="long_2").kind is SignalKind.PYRAMID


@pytest.mark.req("SIG-4")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", "BUY_NOW"),
        ("position", "Long_7"),
        ("position", "Long_0"),
        ("position", "ALL"),
        ("position", 1),
        ("price", 0),
        ("price", -1),
        ("price", True),
        ("price", "abc"),
        ("price", "1_000"),
        ("price", "1,000"),
        ("price", "NaN"),
        ("price", " "),
        ("price", [1]),
        ("price", {"value": 1}),
        ("price", "{{close}}"),
        ("stop", 0),
        ("lots", 1.5),
        ("lots", -1),
        ("lots", False),
        ("lots", 10**9),
        ("atr", -0.01),
        ("er", 1.01),
        ("er", -0.01),
        ("supertrend", "up"),
        ("roc", "fast"),
        ("entry_price", 0),
        ("instrument", "BANK NIFTY"),
        ("instrument", "<b>"),
        ("instrument", 5),
        ("instrument", "X" * 65),
        ("portfolio", "a/b"),
        ("portfolio", "é"),
        ("order_id", {"id": 1}),
        ("order_id", "x" * 257),
        ("order_id", "a\nb"),
        ("strategy", 7),
        ("test", "true"),
        ("timestamp", "yesterday"),
    ],
)
def test_a_faulty_field_is_named_with_what_to_write(field: str, value: object) -> None:
    assert set(faults(ENTRY, **{field: value})) == {field}


@pytest.mark.req("SIG-6")
def test_all_faults_are_told_at_once_with_what_was_got() -> None:
    result = outcome(ENTRY, price=0, er="high", lots="absent")
    assert isinstance(result, Invalid)
    assert [(one.field, one.got) for one in result.problems] == [
        ("lots", "nothing"),
        ("price", "0"),
        ("er", "'high'"),
    ]


@pytest.mark.req("SIG-4")
def test_an_exit_needs_a_reason_and_may_have_no_stop() -> None:
    assert signal(ENTRY, type="EXIT", stop=0, reason="stop hit").stop == 0
    assert "is missing" in faults(ENTRY, type="EXIT")["reason"]
    assert "is missing" in faults(ENTRY, type="EXIT", reason=" ")["reason"]


@pytest.mark.req("SIG-4")
def test_only_an_exit_closes_all_positions() -> None:
    assert signal(ENTRY, type="EXIT", reason="flat", position="all").position == "ALL"


@pytest.mark.req("SIG-4")
def test_market_data_needs_no_position_and_no_size() -> None:
    fields = ("instrument", "timestamp", "price", "atr", "supertrend")
    bar = {"type": "market_data", **{name: ENTRY[name] for name in fields}}
    assert signal(bar).kind is SignalKind.MARKET_DATA
    assert signal(bar, position="Long_1").position is None
    for name in fields:
        assert set(faults(bar, **{name: "absent"})) == {name}


@pytest.mark.req("SIG-4")
def test_unknown_fields_are_kept_and_named() -> None:
    result = outcome(ENTRY, comment="hello", colour="red")
    assert isinstance(result, Valid)
    assert result.signal.unknown_fields == ("colour", "comment")
    assert '"comment": "hello"' in result.payload


@pytest.mark.req("SIG-9")
def test_names_are_normalised_before_they_identify() -> None:
    one = signal(ENTRY, instrument=" bank_nifty ", portfolio="Main", position="LONG_1")
    assert fingerprint(one) == fingerprint(signal(ENTRY))


@pytest.mark.req("SIG-9", "SIG-17")
@given(
    st.datetimes(datetime(1980, 1, 1), datetime(9990, 1, 1), timezones=st.just(UTC)),
    st.integers(0, 3_000_000),
)
def test_signals_have_one_fingerprint_exactly_when_they_have_one_second(
    at: datetime, later_us: int
) -> None:
    """Whatever tells rows of the log apart beside the fingerprint must not tell these apart."""
    one = signal(ENTRY)
    other = at + timedelta(microseconds=later_us)
    same = fingerprint(replace(one, time=at)) == fingerprint(replace(one, time=other))
    assert same == (second_of(at) == second_of(other))
    assert second_of(second_of(at)) == second_of(at)
    assert abs(second_of(at) - at) <= timedelta(seconds=1)


@pytest.mark.req("SIG-9", "SIG-17")
def test_a_fingerprint_is_what_it_was_in_every_version_before() -> None:
    """Else all that was ever logged would be taken in again."""
    at = datetime(2026, 1, 5, 4, 0, 0, 700_000, tzinfo=UTC)
    one = replace(signal(ORDER), time=at, quantity=Decimal(2), order_id="o")
    expected = "8e8fd9df98c35bddf8dc7d5226578eb6331b678cfb68759ac755f9cd1c192577"
    assert fingerprint(one).hex() == expected


@pytest.mark.req("SIG-7")
def test_the_secret_is_handed_over_and_leaves_the_payload() -> None:
    result = outcome('{"secret": "s3cr3t-s3cr3t", ' + json.dumps({**ENTRY, "roc": 0})[1:])
    assert isinstance(result, Valid)
    assert result.secret == "s3cr3t-s3cr3t"
    assert "s3cr3t" not in result.payload
    assert "s3cr3t" not in repr(result)
    assert read(result.payload, zones=ZONES) == result.signal


@pytest.mark.req("SIG-7")
def test_an_invalid_body_shows_its_secret_to_the_doorkeeper_only() -> None:
    result = outcome({**ENTRY, "secret": "s3cr3t-s3cr3t"}, price=-1)
    assert isinstance(result, Invalid)
    assert result.secret == "s3cr3t-s3cr3t"
    assert "s3cr3t" not in repr(result)
    assert set(faults(ENTRY, secret=12345)) == {"secret"}


@pytest.mark.req("SIG-7")
def test_digits_survive_the_removal_of_the_secret() -> None:
    body = json.dumps({**ENTRY, "secret": "x"}).replace("52000.5", "52000.10000000000000000001")
    result = outcome(body.replace("350.5", "3.505E+2"))
    assert isinstance(result, Valid)
    assert read(result.payload, zones=ZONES) == result.signal
    assert result.signal.price == Decimal("52000.10000000000000000001")


@pytest.mark.req("SIG-23")
@pytest.mark.parametrize(("action", "kind"), [("buy", SignalKind.BUY), ("SELL", SignalKind.SELL)])
def test_an_action_is_an_order_at_market(action: str, kind: SignalKind) -> None:
    order = signal(ORDER, action=action, price=99.5)
    assert (order.engine, order.kind, order.instrument) == (Engine.DIRECT, kind, "SIM001")
    assert (order.quantity, order.price, order.limit_price) == (2, Decimal("99.5"), None)


@pytest.mark.req("SIG-23")
def test_quoted_numbers_of_placeholders_are_numbers() -> None:
    assert signal(ORDER, contracts="1.50").quantity == Decimal("1.5")
    assert signal(ORDER, order_id=17).order_id == "17"


@pytest.mark.req("SIG-23")
def test_an_unfilled_placeholder_is_called_one() -> None:
    assert "placeholder" in faults(ORDER, contracts="{{strategy.order.contracts}}")["contracts"]
    assert "placeholder" in faults(ORDER, ticker="{{ticker}}")["ticker"]
    assert "placeholder" in faults(ORDER, timestamp="{{timenow}}")["timestamp"]


@pytest.mark.req("SIG-23")
def test_a_limit_order_says_so_and_has_a_price() -> None:
    assert signal(ORDER, type="limit", price="99.5").limit_price == Decimal("99.5")
    assert "is missing" in faults(ORDER, type="limit")["price"]
    assert set(faults(ORDER, type="stop", price=99)) == {"type"}


@pytest.mark.req("SIG-23")
def test_a_close_needs_no_size() -> None:
    closing = signal(ORDER, action="close", contracts="absent")
    assert (closing.engine, closing.kind, closing.quantity) == (
        Engine.DIRECT,
        SignalKind.CLOSE,
        None,
    )


@pytest.mark.req("SIG-23")
@pytest.mark.parametrize("contracts", ["absent", 0, -1, "", "NaN"])
def test_an_order_without_size_is_refused(contracts: object) -> None:
    assert set(faults(ORDER, contracts=contracts)) == {"contracts"}


@pytest.mark.req("SIG-23")
@pytest.mark.parametrize(
    ("side", "size", "target"),
    [
        ("long", "2.5", Decimal("2.5")),
        ("short", "2.5", Decimal("-2.5")),
        ("short", "-2.5", Decimal("-2.5")),
        ("flat", "0", Decimal(0)),
        ("flat", "absent", Decimal(0)),
    ],
)
def test_a_target_is_the_net_position_to_reach(side: str, size: str, target: Decimal) -> None:
    wanted = signal(TARGET, market_position=side, position_size=size)
    assert (wanted.kind, wanted.target, wanted.quantity) == (SignalKind.TARGET, target, None)


@pytest.mark.req("SIG-23")
@pytest.mark.parametrize(("side", "size"), [("long", -1), ("long", 0), ("short", 0)])
def test_a_target_that_contradicts_itself_is_refused(side: str, size: int) -> None:
    assert set(faults(TARGET, market_position=side, position_size=size)) == {"position_size"}


@pytest.mark.req("SIG-23")
def test_an_order_that_also_tells_its_position_stays_an_order() -> None:
    assert signal({**TARGET, **ORDER}).kind is SignalKind.BUY
    assert signal({**TARGET, "action": "sell"}).kind is SignalKind.TARGET


@pytest.mark.req("SIG-4", "SIG-23")
def test_a_body_with_an_action_is_never_the_portfolios() -> None:
    assert set(faults(ENTRY, action="hold")) == {"action"}
    both = outcome({**ENTRY, **ORDER})
    assert isinstance(both, Invalid)
    assert {one.field for one in both.problems} == {"type"}


@pytest.mark.req("SIG-4")
def test_the_autopilot_opens_with_a_size_and_closes_without() -> None:
    opening = signal(PILOT)
    assert (opening.engine, opening.kind) == (Engine.AUTOPILOT, SignalKind.OPEN_LONG)
    assert (opening.instrument, opening.quantity) == ("BTCUSDT", Decimal("0.01"))
    assert signal(PILOT, action="absent", type="open_short").kind is SignalKind.OPEN_SHORT
    for closing in ({"action": "CLOSE"}, {"action": "absent", "type": "CLOSE"}):
        assert signal(PILOT, size="absent", **closing).kind is SignalKind.CLOSE_POSITION
    assert set(faults(PILOT, size="absent")) == {"size"}
    assert set(faults(PILOT, symbol="absent")) == {"symbol"}


@pytest.mark.req("SIG-6")
def test_a_logged_payload_that_is_no_signal_is_a_defect() -> None:
    for payload in ("{", '{"type": "BASE_ENTRY"}'):
        with pytest.raises(Bug):
            read(payload, zones=ZONES)
