"""From what is about to be sent to the claim that must be durable before."""

from __future__ import annotations

from onefill.ports.broker import Prepared
from onefill.ports.trading import Claim


def claim_of(prepared: Prepared, *, resend: bool = False) -> Claim:
    """The claim that must be committed before these bytes may be sent."""
    order = prepared.intent.order
    return Claim(
        client_order_id=prepared.intent.client_order_id,
        attempt=prepared.attempt,
        signed_at=prepared.signed_at,
        expires_at=prepared.expires_at,
        send_within_ms=prepared.send_within_ms,
        request_hash=prepared.request_hash,
        quantity=order.quantity,
        order_type=order.order_type,
        price=order.price,
        chase=prepared.intent.chase,
        witnessed=prepared.witnessed,
        resend=resend,
        account=f"{order.broker}/{order.account}",
        order_rates=prepared.order_rates,
    )
