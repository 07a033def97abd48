"""What an instance that executes has besides: the trade path, and the right to lead."""

from __future__ import annotations

from onefill.config.settings import Mode
from onefill.jobs.listings import Listings
from onefill.jobs.runner import Runner
from onefill.node.instance import Executing
from onefill.node.term import SharedTerm, SoleTerm, Term
from onefill.ports.jobs import Job
from onefill.wiring.fitness import build_fitness
from onefill.wiring.given import Given
from onefill.wiring.leading import build_leading
from onefill.wiring.trading import Trading, build_trading


def build_executing(given: Given) -> Executing:
    """The trade path, and the right to walk it."""
    trading = build_trading(given)
    leading = build_leading(given, _term(given, trading), trading.work)
    fitness = build_fitness(given, trading.brokers.values(), leading.elector, leading.giving)
    return Executing(
        elector=leading.elector,
        leadership=leading.leadership,
        takeover=leading.takeover,
        giving=leading.giving,
        settler=trading.settler,
        brokers=list(trading.brokers.values()),
        work=trading.work,
        always=_is_shared(given),
        reconciling=trading.reconciling,
        beside=(trading.listener.run, fitness.run, *leading.beside),
    )


def _term(given: Given, trading: Trading) -> Term:
    """What is done while leading."""
    sweep_now = trading.decider.sweep_now
    stores = given.stores
    all_jobs = (*stores.jobs(sweep_now), *_listings(given, trading))
    jobs = Runner(jobs=all_jobs, runs=stores.runs, clock=given.clock)
    kind = SharedTerm if _is_shared(given) else SoleTerm
    return kind(given.state, trading.work, trading.resolver, trading.watchers, jobs)


def _listings(given: Given, trading: Trading) -> tuple[Job, ...]:
    store = given.stores.listings
    if store is None:
        return ()
    listings = Listings(
        store,
        lambda broker, account: trading.brokers.get((broker, account)),
        given.rules,
        age_s=float(given.settings.jobs.listings_every_s),
    )
    return (listings.job,)


def _is_shared(given: Given) -> bool:
    return given.settings.mode is Mode.ACTIVE_ACTIVE
