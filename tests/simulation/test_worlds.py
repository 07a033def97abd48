"""The real loops in seeded worlds full of faults; and each protection, taken away, is missed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from onefill.ports.broker import OrderClass
from onefill.sim.protections import PURPOSE, Protection, Without
from onefill.sim.world import Result, Scenario, simulate
from support import ROOT

SEEDS_A_TEST = 75
SEEDS_TO_FIND = 400

P, A, B, C = Protection, OrderClass.A, OrderClass.B, OrderClass.C
ACTIVE_ACTIVE, ACTIVE_STANDBY = True, False

PLANTED: list[tuple[set[Protection], OrderClass | None, bool | None, str]] = [
    ({P.FENCE}, None, ACTIVE_STANDBY, "no_commit_of_an_old_epoch"),
    ({P.FENCE, P.BAR}, None, ACTIVE_STANDBY, "no_commit_of_an_old_epoch"),
    ({P.BAR}, None, ACTIVE_STANDBY, "a_taker_waits_for_nobody"),
    ({P.DRAIN}, C, ACTIVE_STANDBY, "handed_over_means_drained"),
    ({P.DRAIN}, A, ACTIVE_ACTIVE, "handed_over_means_drained"),
    ({P.TRUST}, None, None, "stops_before_it_is_succeeded"),
    ({P.REQUEST}, None, ACTIVE_STANDBY, "one_operation_an_epoch"),
    ({P.LANE}, None, ACTIVE_ACTIVE, "processes_do_not_break"),
    ({P.CLAIM}, B, ACTIVE_ACTIVE, "executed_at_most_once"),
    ({P.REREAD}, None, None, "sent_means_claimed"),
    ({P.SIGNING}, B, None, "executed_at_most_once"),
    ({P.DEADLINE}, None, None, "nothing_is_sent_late"),
    ({P.WAIT}, B, None, "executed_at_most_once"),
    ({P.LAG}, B, None, "executed_at_most_once"),
    ({P.QUARANTINE}, C, None, "executed_at_most_once"),
    ({P.IDENTITY}, A, None, "executions_have_intents"),
    ({P.DEDUP}, None, None, "one_signal_a_fingerprint"),
    ({P.DURABLE}, None, None, "acknowledged_means_durable"),
    ({P.DOUBT}, C, None, "no_new_exposure_in_doubt"),
    ({P.EVIDENCE}, None, ACTIVE_ACTIVE, "evidence_is_never_lost"),
]

RARELY_MISSED = [row for row in PLANTED if row[0] == {P.DRAIN} and row[2] is ACTIVE_ACTIVE]
"""In one world of three hundred."""


def told(result: Result) -> str:
    """What broke, and the way back."""
    return "\n".join((*map(str, result.violations), f"Again: {result.again}"))


@pytest.mark.req("Q-3", "CTL-1", "CTL-2", "CTL-3", "CTL-6", "CTL-12", "ORD-3", "ORD-7", "SIG-10")
@pytest.mark.parametrize("order_class", OrderClass)
@pytest.mark.parametrize("shared", [ACTIVE_STANDBY, ACTIVE_ACTIVE])
def test_no_world_breaks_a_promise(order_class: OrderClass, shared: bool) -> None:
    results = [
        simulate(Scenario(seed=seed, order_class=order_class, shared=shared))
        for seed in range(SEEDS_A_TEST)
    ]
    assert not [told(result) for result in results if result.violations]
    assert sum(result.orders for result in results) > SEEDS_A_TEST
    assert sum(result.epochs for result in results) > SEEDS_A_TEST


@pytest.mark.req("Q-3")
@pytest.mark.parametrize("seed", [3, 42])
def test_the_same_seed_is_the_same_world_in_any_process(seed: int) -> None:
    traces = {_trace_in_a_process(seed, hash_seed) for hash_seed in ("1", "2")}
    assert len(traces) == 1
    assert "BECAME LEADER" in traces.pop()


def _trace_in_a_process(seed: int, hash_seed: str) -> str:
    program = (
        "from onefill.sim.world import Scenario, simulate\n"
        f"print('\\n'.join(simulate(Scenario(seed={seed}, traced=True)).trace))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.req("Q-3")
def test_a_trace_is_only_looked_at() -> None:
    silent = simulate(Scenario(seed=7))
    traced = simulate(Scenario(seed=7, traced=True))
    assert (silent.orders, silent.epochs) == (traced.orders, traced.epochs)
    assert silent.simulated_s == traced.simulated_s


@pytest.mark.req("Q-3")
@pytest.mark.parametrize(
    ("without", "order_class", "shared", "promise"),
    [pytest.param(*row, marks=pytest.mark.long if row in RARELY_MISSED else ()) for row in PLANTED],
    ids=["+".join(sorted(row[0])) + "-shared" * (row in RARELY_MISSED) for row in PLANTED],
)
def test_a_protection_that_is_taken_away_is_missed(
    without: Without, order_class: OrderClass | None, shared: bool | None, promise: str
) -> None:
    is_rare = (without, order_class, shared, promise) in RARELY_MISSED
    seeds = range(500, 3000) if is_rare else range(SEEDS_TO_FIND)
    for seed in seeds:
        scenario = Scenario(
            seed=seed, order_class=order_class, shared=shared, without=frozenset(without)
        )
        result = simulate(scenario)
        if promise in {violation.promise for violation in result.violations}:
            assert "--without" in result.again
            return
    pytest.fail(f"{len(seeds)} worlds without {without} keep the promise {promise}")


@pytest.mark.req("Q-3")
def test_every_protection_is_taken_away_alone() -> None:
    alone = {protection for row in PLANTED if len(row[0]) == 1 for protection in row[0]}
    assert alone == set(Protection) == set(PURPOSE)
