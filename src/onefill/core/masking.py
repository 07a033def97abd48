"""Takes secrets out of a text before anybody sees it. Source: SIG-7, OPS-8."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"
SHORTEST_MASKED = 4
_FIELDS = "secret|token|api_?key|signature|password|passphrase|authorization"
_NAMED = re.compile(
    rf"""((?:{_FIELDS}|"[^"]*\\u[^"]*)["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,;&}}]+)""",
    re.IGNORECASE,
)
_FIELD = re.compile(rf"(?:.*_)?(?:{_FIELDS})", re.IGNORECASE)


class Mask:
    """Knows the secrets in use; also masks what stands in a field that is named like a secret."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({text for text in secrets if len(text) >= SHORTEST_MASKED}, key=len)
        self._known = re.compile("|".join(map(re.escape, reversed(known)))) if known else None

    def values(self, text: str) -> str:
        """The text without any secret that is in use."""
        return text if self._known is None else self._known.sub(MASK, text)

    def text(self, text: str) -> str:
        """The text without secrets in use, and without what `"secret": …` or `token=…` holds."""
        return self.values(_NAMED.sub(rf"\1{MASK}", text))


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret."""
    return _FIELD.fullmatch(name) is not None
