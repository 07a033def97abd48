"""A signal is delivered through refusals and restarts, and followed to its end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from onefill.cli.client import Answer, Client, explained, good
from onefill.cli.delivery import Courier
from onefill.cli.errors import Refused, Unreachable
from support import free_port
from unit.cli.instance import Instance, running

SIGNAL = {"action": "buy", "order_id": "one"}


class QuickClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now_ms = 0.0

    def wall(self) -> datetime:
        """A day in 2026, and what was slept since."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.now_ms)

    def boottime_ms(self) -> float:
        """Milliseconds slept so far."""
        return self.now_ms

    async def sleep(self, seconds: float) -> None:
        """Return at once, later."""
        self.now_ms += seconds * 1000


@pytest.fixture
def instance() -> Iterator[Instance]:
    with running(Instance(polls=2)) as made:
        yield made


def courier(url: str, told: list[str] | None = None) -> Courier:
    """A courier with ten seconds' patience."""
    says = (told if told is not None else []).append
    return Courier(Client(url), "secret", QuickClock(), patience_s=10, told=says)


async def test_a_signal_is_sent_again_until_it_is_taken_in(instance: Instance) -> None:
    told: list[str] = []
    instance.refuse = [503, 429, 500]
    sent = await courier(instance.url, told).send(SIGNAL, wait=False)
    assert (sent.signal_id, sent.status, sent.duplicate) == (1, "received", False)
    assert len(instance.posts) == 4
    assert told == ["Not now: as the test wants it"] * 3


@pytest.mark.parametrize("status", [400, 401, 413])
async def test_what_is_refused_for_good_is_not_sent_again(instance: Instance, status: int) -> None:
    instance.refuse = [status]
    with pytest.raises(Refused) as caught:
        await courier(instance.url).send(SIGNAL, wait=False)
    assert (caught.value.status, len(instance.posts)) == (status, 1)


@pytest.mark.req("SIG-20")
async def test_a_signal_sent_before_is_known_and_counts_as_done(instance: Instance) -> None:
    first = await courier(instance.url).send(SIGNAL, wait=False)
    again = courier(instance.url)
    second = await again.send(SIGNAL, wait=False)
    assert (second.signal_id, second.duplicate) == (first.signal_id, True)
    end = await again.end_of(second)
    assert (end.status, end.is_over, end.duplicate) == ("executed", True, True)


async def test_patience_ends_when_nobody_answers() -> None:
    clock_courier = courier(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match="does not answer"):
        await clock_courier.send(SIGNAL, wait=False)


async def test_patience_ends_when_a_signal_has_no_end() -> None:
    with running(Instance(polls=10**6)) as stuck:
        sent = await courier(stuck.url).send(SIGNAL, wait=False)
        with pytest.raises(Unreachable, match="still executing"):
            await courier(stuck.url).end_of(sent)


@pytest.mark.req("IF-7")
def test_an_answer_of_503_is_unreachable_and_of_401_refused_with_a_remedy() -> None:
    with pytest.raises(Unreachable):
        good(Answer(503, {"title": "Database not reachable"}))
    with pytest.raises(Refused) as caught:
        good(Answer(401, {"title": "Unauthorized"}))
    assert "ONEFILL_OPERATOR_TOKEN" in caught.value.remedy


def test_a_problem_document_is_told_with_its_fields() -> None:
    errors = [{"field": "price", "problem": "must be above 0", "got": "-1"}]
    reason, remedy = explained(
        Answer(400, {"title": "Invalid", "errors": errors, "remedy": "Mend it."})
    )
    assert (reason, remedy) == ("Invalid; price must be above 0", "Mend it.")
