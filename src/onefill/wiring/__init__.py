"""The only room that knows every concrete part: from settings to a running instance."""

from __future__ import annotations

from onefill.config.settings import Settings


def serve(settings: Settings) -> int:
    """Run one instance until SIGTERM or SIGINT; the exit code."""
    from onefill.wiring.instance import run

    return run(settings)
