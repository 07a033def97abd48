"""Who may read and who may act: two tokens, compared in constant time (IF-2)."""

from __future__ import annotations

import enum
import hmac
from dataclasses import dataclass, field
from hashlib import sha256


class Role(enum.StrEnum):
    """What the bearer of a token may do; an operator may read too."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The configured tokens, never shown. None or empty: nobody has that role by a token."""

    operator: str | None = field(default=None, repr=False)
    viewer: str | None = field(default=None, repr=False)

    @property
    def are_configured(self) -> bool:
        """Whether there is any token at all."""
        return bool(self.operator or self.viewer)

    def role_of(self, presented: str) -> Role | None:
        """The role that this token gives. Both are always compared, as hashes of one length."""
        is_operator = _equal(presented, self.operator)
        is_viewer = _equal(presented, self.viewer)
        if is_operator:
            return Role.OPERATOR
        return Role.VIEWER if is_viewer else None


def bearer(header: str) -> str | None:
    """The token in an `Authorization: Bearer …` header; None when it holds none."""
    scheme, _, token = header.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _equal(presented: str, configured: str | None) -> bool:
    same = hmac.compare_digest(_digest(presented), _digest(configured or ""))
    return same and bool(configured)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogateescape")).digest()
