"""Who may send signals: secrets, signatures, addresses. Source: SIG-7.

A sender that can sign sends `X-Timestamp` (Unix seconds) and `X-Signature: sha256=<hex>`, the
HMAC-SHA256 of `<timestamp>.<body>` under one of the secrets; it counts for five minutes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from onefill.web.asgi import Scope, header

TRADINGVIEW = ("52.89.214.238", "34.212.75.30", "54.218.53.128", "52.32.178.7")
PRESETS = {"tradingview": TRADINGVIEW}
SIGNATURE_VALID_S = 300
LONG_ENOUGH_TO_SEARCH = 16
_SCHEME = b"sha256="

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Secrets:
    """The webhook secrets in use, by name; several at once, so that they can be rotated."""

    def __init__(self, by_name: Mapping[str, str]) -> None:
        self._keys = [secret.encode() for secret in by_name.values() if secret]
        self._digests = [hashlib.sha256(key).digest() for key in self._keys]
        self._long = [secret for secret in by_name.values() if len(secret) >= LONG_ENOUGH_TO_SEARCH]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def know(self, given: str) -> bool:
        """Whether it is one of them. All are compared, each in constant time."""
        digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()
        return _any_of([hmac.compare_digest(digest, known) for known in self._digests])

    def signed(self, body: bytes, signature: bytes, timestamp: bytes, now: datetime) -> bool:
        """Whether one of them signed this body at this time, which must be five minutes near."""
        if not (timestamp.isdigit() and len(timestamp) <= 12):
            return False
        if abs(now.timestamp() - int(timestamp)) > SIGNATURE_VALID_S:
            return False
        message = timestamp + b"." + body
        expected = [
            _SCHEME + hmac.digest(key, message, "sha256").hex().encode() for key in self._keys
        ]
        return _any_of([hmac.compare_digest(signature.lower(), one) for one in expected])

    def leak_in(self, text: str) -> bool:
        """Whether one of them stands in a text; short ones could stand there by chance."""
        return any(secret in text for secret in self._long)


@dataclass(frozen=True, slots=True)
class Senders:
    """Where requests come from. Addresses are IPs, networks, or the preset `tradingview`.

    trusted_proxies: only what these forward is believed about the sender's address.
    allowed: from where signals may come; empty: from everywhere.
    """

    trusted_proxies: Sequence[Network] = ()
    allowed: Sequence[Network] = ()

    @classmethod
    def named(cls, trusted_proxies: Sequence[str] = (), allowed: Sequence[str] = ()) -> Senders:
        """From text. Raises ValueError for what is neither address, network nor preset."""
        return cls(_networks(trusted_proxies), _networks(allowed))

    def sender_of(self, scope: Scope) -> str:
        """The address that this request came from, past trusted proxies; empty if unknown."""
        client = scope.get("client")
        peer = client[0] if client else ""
        if not self.trusted_proxies or not _is_within(peer, self.trusted_proxies):
            return peer
        for hop in reversed(_forwarded_for(scope)):
            if _address(hop) is None:
                return peer
            if not _is_within(hop, self.trusted_proxies):
                return hop
        return peer

    def allow(self, sender: str) -> bool:
        """Whether signals may come from this address."""
        return not self.allowed or _is_within(sender, self.allowed)


@dataclass(frozen=True, slots=True)
class Door:
    """Lets in who offers a right secret, and no wrong one.

    Without secrets only this very machine may send, and nothing that a proxy forwarded.
    """

    secrets: Secrets
    senders: Senders = field(default_factory=Senders)

    def admits(self, scope: Scope, sender: str, offers: Sequence[bool]) -> bool:
        """offers: whether each credential that was offered is right."""
        if self.secrets:
            return bool(offers) and all(offers)
        address = _address(sender)
        return address is not None and address.is_loopback and not _forwarded_for(scope)

    def offers_of_head(self, scope: Scope, token: str, body: bytes, now: datetime) -> list[bool]:
        """Whether the token in the path and the signature, where there is one, are right."""
        offers = [self.secrets.know(token)] if token else []
        signature = header(scope, b"x-signature")
        if signature is not None:
            timestamp = header(scope, b"x-timestamp") or b""
            offers.append(self.secrets.signed(body, signature, timestamp, now))
        return offers


def _any_of(matches: Sequence[bool]) -> bool:
    return any(matches)


def _networks(texts: Sequence[str]) -> tuple[Network, ...]:
    expanded = [part for text in texts for part in PRESETS.get(text.lower(), (text,))]
    return tuple(ip_network(part, strict=False) for part in expanded)


def _is_within(text: str, networks: Sequence[Network]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=4096)
def _address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _forwarded_for(scope: Scope) -> list[str]:
    """The hops that proxies wrote down, nearest last."""
    lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [hop.strip() for hop in b",".join(lines).decode("latin-1").split(",") if hop.strip()]
