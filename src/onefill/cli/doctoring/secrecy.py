"""Secrets: there at all, long enough, different from each other."""

from __future__ import annotations

from collections.abc import Iterator

from onefill.cli.doctoring.finding import Finding, fail, ok, warn
from onefill.config.settings import Settings

_SHORTEST = 16
_FEWEST_LETTERS = 8
_DRAW = 'Draw one: python -c "import secrets; print(secrets.token_urlsafe(32))".'


def secrecy(settings: Settings) -> Iterator[Finding]:
    """How strong each secret is; never what it is."""
    tokens = {
        "operator_token": settings.operator_token.get_secret_value(),
        "viewer_token": settings.viewer_token.get_secret_value(),
    }
    webhook = {f"webhook secret {name}": secret for name, secret in settings.secrets.items()}
    if not webhook:
        yield warn("webhook secret", "none is set: only this machine may send", _DRAW)
    for name, secret in {**webhook, **tokens}.items():
        if secret:
            yield _strength(name, secret)
        else:
            yield warn(name, "is not set", _DRAW)
    given = [secret for secret in {**webhook, **tokens}.values() if secret]
    if len(set(given)) < len(given):
        yield fail("secrets", "one is used twice", "Draw one for each: " + _DRAW)


def _strength(name: str, secret: str) -> Finding:
    if len(secret) < _SHORTEST:
        return warn(name, f"has only {len(secret)} characters", _DRAW)
    if len(set(secret)) < _FEWEST_LETTERS:
        return warn(name, "repeats a few characters", _DRAW)
    return ok(name, f"{len(secret)} characters")
