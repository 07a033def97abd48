"""What must hold between settings, each with its reason; and what is odd, but may be meant."""

from __future__ import annotations

from collections.abc import Iterator

from onefill.config.control import LeaseSettings, TakeoverSettings
from onefill.config.orders import PAPER_ACCOUNT
from onefill.config.problems import Problem
from onefill.config.rules import incomplete, instruments_of
from onefill.config.settings import BROKERS, Mode, Settings, Topology
from onefill.core.instrument import Structure

REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def relations(settings: Settings) -> list[Problem]:
    """Everything that can't work together. A problem's field names each setting of it."""
    return [
        *_topology(settings),
        *_redis(settings),
        *_lease(settings.lease),
        *_takeover(settings.takeover),
        *_live(settings),
        *_instruments(settings),
        *_orders(settings),
        *_tokens(settings),
        *_limits(settings),
    ]


def warnings_of(settings: Settings) -> list[str]:
    """What works, but perhaps not as meant."""
    found = []
    if settings.role.takes_in and not settings.secrets:
        found.append("No webhook_secret is set: only this machine may send signals.")
    if not settings.operator_token.get_secret_value():
        found.append("No operator_token is set: nobody can act through the API.")
    return found


def _topology(settings: Settings) -> Iterator[Problem]:
    """What can't be had where Redis is the authority (CTL-21)."""
    if settings.topology is not Topology.SHARED_REDIS:
        return
    instead = "Or write topology = shared-database: PostgreSQL is the authority."
    if settings.mode is not Mode.ACTIVE_STANDBY:
        yield Problem(
            "mode, topology",
            f"{settings.mode.value} needs a database whose rows can be locked",
            f"Write mode = active-standby: one instance acts at a time. {instead}",
        )
    if not settings.redis.url.get_secret_value():
        yield Problem(
            "redis.url, topology",
            "is empty, and Redis is the authority",
            f"Name the Redis that all instances share. {instead}",
        )
    if settings.limits:
        yield Problem(
            "limits, topology",
            "hard limits are kept in the database only",
            f"Leave them out, and set them at the broker. {instead}",
        )


def _redis(settings: Settings) -> Iterator[Problem]:
    url = settings.redis.url.get_secret_value()
    if url and not url.startswith(REDIS_SCHEMES):
        yield Problem(
            "redis.url",
            "is no address of a Redis",
            f"Begin it with {', '.join(REDIS_SCHEMES)}; or leave it empty, and none is used.",
        )


def _lease(lease: LeaseSettings) -> Iterator[Problem]:
    least = lease.renew_every_ms + 2 * lease.call_timeout_ms
    if least > lease.ttl_ms:
        yield Problem(
            "lease.ttl_ms, lease.renew_every_ms, lease.call_timeout_ms",
            f"renew_every_ms + 2 · call_timeout_ms is {least}, more than ttl_ms {lease.ttl_ms}",
            "One renewal may time out and the next must still arrive before the lease ends: "
            "raise ttl_ms or lower the others.",
        )
    if lease.give_up_ms >= lease.ttl_ms:
        yield Problem(
            "lease.give_up_ms, lease.ttl_ms",
            f"give_up_ms {lease.give_up_ms} is not below ttl_ms {lease.ttl_ms}",
            "A holder must have stopped before its lease ends and another may start.",
        )
    if lease.give_up_ms < least:
        yield Problem(
            "lease.give_up_ms, lease.renew_every_ms, lease.call_timeout_ms",
            f"give_up_ms {lease.give_up_ms} is below renew_every_ms + 2 · call_timeout_ms {least}",
            "One renewal that times out must not cost the leadership: raise give_up_ms.",
        )


def _takeover(takeover: TakeoverSettings) -> Iterator[Problem]:
    if takeover.drain_ms >= takeover.forced_after_ms:
        yield Problem(
            "takeover.drain_ms, takeover.forced_after_ms",
            f"drain_ms {takeover.drain_ms} is not below forced_after_ms {takeover.forced_after_ms}",
            "A holder that drains must have handed over before control is taken from it.",
        )


def _live(settings: Settings) -> Iterator[Problem]:
    for name in BROKERS:
        broker = settings.broker(name)
        if not broker.live:
            continue
        at = f"brokers.{name}"
        if not broker.api_key.get_secret_value():
            yield Problem(
                f"{at}.api_key",
                "is empty, and the broker is live",
                f"Write it as a reference to the environment, or set {at}.live = false.",
            )
        if name == "binance" and not broker.api_secret.get_secret_value():
            yield Problem(
                f"{at}.api_secret",
                "is empty, and the broker is live",
                f"Write it as a reference to the environment, or set {at}.live = false.",
            )
        if name == "openalgo" and not broker.base_url:
            yield Problem(
                f"{at}.base_url",
                "is empty, and the broker is live",
                "Name your OpenAlgo server: it has no common address.",
            )
        if broker.account == PAPER_ACCOUNT:
            yield Problem(
                f"{at}.account",
                "is paper, and the broker is live",
                "Give the live account a name of its own: paper and live never share a record.",
            )
    if not any(settings.broker(name).live for name in BROKERS):
        for name, strategy in settings.strategies.items():
            if strategy.live:
                yield Problem(
                    f"strategies.{name}.live",
                    "is true, and no broker is live",
                    "Set brokers.BROKER.live = true as well, or trade on paper.",
                )


def _instruments(settings: Settings) -> Iterator[Problem]:
    for name, missing in incomplete(settings).items():
        for field in missing:
            yield Problem(
                f"instruments.{name}.{field}",
                "is missing, and onefill does not know the instrument",
                f"Add it to [instruments.{name}], or mend the instrument's name.",
            )


def _orders(settings: Settings) -> Iterator[Problem]:
    if any(incomplete(settings).values()):
        return
    for name, instrument in instruments_of(settings).items():
        if instrument.chase is not None and instrument.chase.step % instrument.tick != 0:
            yield Problem(
                f"instruments.{name}.chase.step, instruments.{name}.tick",
                "prices between two ticks are refused",
                "Let the step be a multiple of the tick.",
            )
        if instrument.protective_stop and instrument.structure is not Structure.FUTURE:
            yield Problem(
                f"instruments.{name}.protective_stop",
                "one stop order can't close a position of two legs",
                "Set it for futures only.",
            )


def _tokens(settings: Settings) -> Iterator[Problem]:
    operator = settings.operator_token.get_secret_value()
    if operator and operator == settings.viewer_token.get_secret_value():
        yield Problem(
            "viewer_token, operator_token",
            "are the same",
            "Draw two: whoever may look must not be able to act.",
        )


def _limits(settings: Settings) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for key, limit in settings.limits.items():
        if (other := seen.setdefault(limit.name, key)) != key:
            yield Problem(
                f"limits.{other}, limits.{key}",
                f"both limit {limit.name}",
                "Put all limits of an account, or of a symbol there, into one block.",
            )
