"""The contract of ports.signal_log.SignalLog."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from onefill.core.errors import StoreUnavailable
from onefill.core.signal import SignalStatus
from onefill.ports.signal_log import Logged, NewSignal, Unloggable
from trading_support import (
    Authority,
    buy,
    holder,
    log_all,
    new_signal,
)

ME = holder("a")
BAR = datetime(2026, 1, 5, 4, 0, tzinfo=UTC)
YEARS_END = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
IN_YEARS = datetime(2051, 1, 5, 4, 0, tzinfo=UTC)


def signals(count: int, name: str = "o") -> list[NewSignal]:
    """So many different signals of one lane and bar."""
    return [new_signal(buy("SIM001", BAR, f"{name}{n}")) for n in range(count)]


def logged(answers: object) -> list[Logged]:
    """The answers, all of which are Logged."""
    assert isinstance(answers, list)
    assert all(isinstance(answer, Logged) for answer in answers)
    return answers


@pytest.mark.req("SIG-10", "SIG-15")
async def test_a_group_is_answered_in_its_order_and_a_repeat_is_a_duplicate(
    authority: Authority,
) -> None:
    log = authority.signals(ME)
    group = signals(20)
    first = logged(await log.append(group))
    assert all(answer.fresh for answer in first)
    again = logged(await log.append(list(reversed(group))))
    assert not any(answer.fresh for answer in again)
    assert [answer.signal_id for answer in reversed(again)] == [a.signal_id for a in first]


@pytest.mark.req("SIG-12")
async def test_ids_of_a_group_follow_its_order_of_arrival(authority: Authority) -> None:
    ids = [answer.signal_id for answer in logged(await authority.signals(ME).append(signals(50)))]
    assert ids == sorted(ids)


@pytest.mark.req("SIG-10")
async def test_equal_signals_inside_a_group_are_one(authority: Authority) -> None:
    one, two = signals(2)
    answers = logged(await authority.signals(ME).append([one, two, one, one]))
    assert [answer.fresh for answer in answers] == [True, True, False, False]
    assert len({answer.signal_id for answer in answers}) == 2


@pytest.mark.req("SIG-9", "SIG-17")
@pytest.mark.parametrize("at", [BAR, YEARS_END], ids=["midday", "the year's end"])
async def test_equal_fingerprints_with_different_fractions_of_a_second_are_one_signal(
    authority: Authority, at: datetime
) -> None:
    """Inside a group, and from two instances one after the other."""
    parts = [new_signal(buy("SIM001", at + n * timedelta(milliseconds=100), "o")) for n in range(9)]
    assert len({new.fingerprint for new in parts}) == 1
    a, b = authority.signals(ME), authority.signals(holder("b"))
    answers = [*logged(await a.append(parts[2:4])), *logged(await a.append(parts[4:5]))]
    answers += [*logged(await b.append(parts[7:9])), *logged(await b.append(parts[0:1]))]
    assert [answer.fresh for answer in answers] == [True] + [False] * 5
    assert len({answer.signal_id for answer in answers}) == 1


@pytest.mark.req("SIG-15")
async def test_one_bad_row_fails_itself_alone(authority: Authority) -> None:
    group = signals(9)
    group[4] = replace(group[4], payload="a \0 that no text may hold")
    group[7] = replace(group[7], fingerprint=b"too short")
    answers = await authority.signals(ME).append(group)
    kinds = [type(answer) for answer in answers]
    assert [n for n, kind in enumerate(kinds) if kind is Unloggable] == [4, 7]
    assert len({a.signal_id for a in answers if isinstance(a, Logged)}) == 7


@pytest.mark.req("SIG-10", "SIG-17")
async def test_overlapping_unsorted_groups_of_two_instances_never_deadlock(
    authority: Authority,
) -> None:
    """Over two years, the second of which has no room in the log before somebody needs it."""
    logs = [authority.signals(holder(name)) for name in ("a", "b")]
    chance = random.Random(8142)
    fresh = 0
    for turn in range(40):
        next_year = [new_signal(buy("SIM001", IN_YEARS, f"{turn}-{n}")) for n in range(16)]
        group = signals(16, f"{turn}-") + next_year
        shuffled = [chance.sample(group, len(group)) for _ in logs]
        answers = await asyncio.gather(
            *(log.append(mixed) for log, mixed in zip(logs, shuffled, strict=True))
        )
        fresh += sum(answer.fresh for answer in logged(answers[0]) + logged(answers[1]))
    assert fresh == 40 * 32


async def test_duplicates_are_counted_and_progress_is_told(authority: Authority) -> None:
    log = authority.signals(ME)
    one, two = await log_all(log, buy("SIM001", BAR, "1"), buy("SIM001", BAR, "2"))
    await log.count_duplicates({two: 2, one: 1}, {two: "memory"})
    await log.count_duplicates({two: 3})
    await log.count_duplicates({})
    progress = await log.progress([one, two, 10**9])
    assert {key: value.status for key, value in progress.items()} == {
        one: SignalStatus.RECEIVED,
        two: SignalStatus.RECEIVED,
    }


async def test_an_empty_group_is_answered_with_nothing(authority: Authority) -> None:
    assert list(await authority.signals(ME).append([])) == []


@pytest.mark.req("SIG-10")
async def test_what_somebody_says_is_logged_is_looked_up_and_logged_when_it_is_not(
    authority: Authority,
) -> None:
    log = authority.signals(ME)
    known, unknown, new = signals(3)
    [first] = logged(await log.append([known]))
    told = [replace(known, perhaps_logged=True), new, replace(unknown, perhaps_logged=True)]
    answers = logged(await log.append(told))
    assert answers[0] == Logged(first.signal_id, False)
    assert [answer.fresh for answer in answers[1:]] == [True, True]


@pytest.mark.req("SIG-10", "CTL-8")
async def test_a_log_says_which_store_it_is_in_and_one_that_lost_its_signals_is_no_more_the_same(
    authority: Authority,
) -> None:
    one, two = authority.signals(ME), authority.signals(holder("b"))
    assert one.database is None
    for log in (one, two):
        await log.append(signals(1))
    assert one.database is not None
    assert one.database == two.database
    before = one.database
    await authority.lose_signals()
    with contextlib.suppress(StoreUnavailable):
        await one.identify()
    assert one.database != before
