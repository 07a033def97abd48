"""The HTTP side of an instance: webhook, probes, metrics, and the API behind them."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from onefill import __version__
from onefill.config.settings import Settings
from onefill.core.control.states import InstanceState
from onefill.core.intake.signal_time import Zones
from onefill.core.masking import Mask
from onefill.flow.awaiting import Awaiting
from onefill.flow.intake import Intake
from onefill.flow.spool import Spooling
from onefill.node.state import NodeState
from onefill.ports.clock import RealClock
from onefill.ports.coordination import Coordination
from onefill.ports.metrics import Metrics
from onefill.ports.rows import NodeStatus
from onefill.ports.views import Reconcile
from onefill.web.app import Application
from onefill.web.asgi import App, Scope, header
from onefill.web.health import Health, Probes
from onefill.web.metrics import MetricsPage
from onefill.web.rate_limit import Rate
from onefill.web.tokens import Tokens, bearer
from onefill.web.webhook import Webhook, WebhookParts
from onefill.web.webhook_auth import Door, Secrets, Senders
from onefill.wiring.accounts import live_accounts
from onefill.wiring.stores import Stores


def build_application(
    settings: Settings,
    state: NodeState,
    stores: Stores,
    *,
    coordination: Coordination,
    intake: Intake,
    awaiting: Awaiting,
    zones: Zones,
    metrics: Metrics,
    clock: RealClock,
    reconcile: Reconcile,
    spooling: Spooling,
) -> Application:
    """Everything that answers requests."""
    tokens = tokens_of(settings)
    parts = WebhookParts(
        intake=intake,
        awaiting=awaiting,
        door=_door(settings),
        zones=zones,
        mask=Mask(secrets_of(settings)),
        metrics=metrics,
        clock=clock,
        rate=Rate(a_minute=settings.rate_limit) if settings.rate_limit else None,
        rejects=_rejects(settings, state),
        keep=spooling.keep,
    )
    probes = Probes(lambda: health_of(state))
    routes: dict[str, App] = {**probes.routes, "/metrics": MetricsPage(metrics, _may_read(tokens))}
    return Application(
        webhook=Webhook(parts),
        routes=routes,
        api=_api(settings, state, stores, tokens, coordination=coordination, reconcile=reconcile),
    )


def secrets_of(settings: Settings) -> list[str]:
    """Everything that must never be seen in a log or an answer."""
    brokers = (settings.brokers.binance, settings.brokers.openalgo)
    hidden = [settings.operator_token, settings.viewer_token]
    hidden += [secret for broker in brokers for secret in (broker.api_key, broker.api_secret)]
    redis = urlsplit(settings.redis.url.get_secret_value()).password or ""
    return [*settings.secrets.values(), redis, *(s.get_secret_value() for s in hidden)]


def tokens_of(settings: Settings) -> Tokens:
    """The operator's and the viewer's token."""
    return Tokens(
        operator=settings.operator_token.get_secret_value() or None,
        viewer=settings.viewer_token.get_secret_value() or None,
    )


def health_of(state: NodeState) -> Health:
    """What the probes tell."""
    not_ready = []
    if not state.taking_in:
        not_ready.append("this instance takes in no signals now")
    if not state.database_up:
        not_ready.append("the database does not answer")
    return Health(
        instance=state.instance,
        state=state.state.value,
        epoch=state.epoch,
        is_primary=state.is_active,
        not_ready=tuple(not_ready),
        database_up=state.database_up,
        redis_up=state.redis_up,
        may_not_send=dict(state.refused),
        details=_details(state),
    )


def _details(state: NodeState) -> dict[str, object]:
    """What is out of the ordinary."""
    found: dict[str, object] = {}
    if state.broken:
        found["broken_promises"] = list(state.broken)
    if state.spooled():
        found["spooled_signals"] = state.spooled()
    return found


def _api(
    settings: Settings,
    state: NodeState,
    stores: Stores,
    tokens: Tokens,
    *,
    coordination: Coordination,
    reconcile: Reconcile,
) -> Callable[[], App]:
    def build() -> App:
        from onefill.web.api.routes import build_api  # takes longer than all the rest to import

        return build_api(
            stores.views,
            stores.controls,
            tokens,
            lambda: node_status(settings, state),
            coordination=coordination,
            reconcile=reconcile,
        )

    return build


def node_status(settings: Settings, state: NodeState) -> NodeStatus:
    """What the instance knows of itself, for the API."""
    return NodeStatus(
        instance=state.instance,
        version=__version__,
        state=state.state.value,
        is_active=state.is_active,
        epoch=state.epoch,
        mode=settings.mode.value,
        topology=settings.topology.value,
        live=bool(live_accounts(settings)),
        redis_connected=state.redis_up,
        redis_leader=state.redis_leader,
        spooled=state.spooled(),
        loss=state.loss,
    )


def _door(settings: Settings) -> Door:
    senders = Senders.named(settings.trusted_proxies, settings.webhook_senders)
    return Door(Secrets(settings.secrets), senders)


def _rejects(settings: Settings, state: NodeState) -> Callable[[], str | None]:
    """SIG-3: why a standby takes no signal, if it is set to reject them."""

    def reason() -> str | None:
        if settings.standby_signals == "accept" or state.is_active:
            return None
        return "lost_leadership" if state.state is InstanceState.FENCED else "not_leader"

    return reason


def _may_read(tokens: Tokens) -> Callable[[Scope], bool]:
    def may_read(scope: Scope) -> bool:
        token = bearer((header(scope, b"authorization") or b"").decode("latin-1"))
        return token is not None and tokens.role_of(token) is not None

    return may_read
