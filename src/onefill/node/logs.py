"""Logs: one line an event, as JSON or for people, with secrets masked. Source: OPS-8."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, TextIO

import structlog

from onefill.core.masking import MASK, Mask, is_secret_name

Event = MutableMapping[str, Any]


@dataclass(slots=True)
class LogContext:
    """What each line says of this process. epoch: the one that it leads under, while it does.

    The signal and the client order id come from `structlog.contextvars`.
    """

    instance: str
    epoch: int | None = None

    def __call__(self, logger: object, method: str, event: Event) -> Event:
        """Add them to a line."""
        event["instance"] = self.instance
        if self.epoch is not None:
            event.setdefault("epoch", self.epoch)
        return event


def set_up_logs(
    *,
    instance: str,
    secrets: Iterable[str],
    as_json: bool,
    level: str = "info",
    stream: TextIO | None = None,
) -> LogContext:
    """Send all logs, the libraries' too, to one stream (stderr unless given).

    The answer is kept by the node, which tells it of each new epoch.
    """
    context = LogContext(instance)
    output = stream or sys.stderr
    before = _before(context)
    render = _render(secrets, as_json=as_json, is_terminal=output.isatty())
    structlog.configure(
        processors=[*before, *render],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.PrintLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*before, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(_number(level), logging.WARNING), force=True)
    return context


def _before(context: LogContext) -> list[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _render(
    secrets: Iterable[str], *, as_json: bool, is_terminal: bool
) -> list[structlog.typing.Processor]:
    masking = _Masking(Mask(secrets))
    if as_json:
        renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(default=str)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=is_terminal, exception_formatter=structlog.dev.plain_traceback
        )
    # Exceptions become text before the mask: their messages may quote what was sent.
    return [structlog.processors.format_exc_info, masking, renderer]


class _Masking:
    """Masks secrets in use wherever they stand, and whole fields that are named like secrets."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask

    def __call__(self, logger: object, method: str, event: Event) -> Event:
        return {name: self._masked(name, value) for name, value in event.items()}

    def _masked(self, name: str, value: object) -> object:
        if is_secret_name(name) and value is not None:
            return MASK
        match value:
            case str():
                return self._mask.values(value)
            case dict():
                return {str(key): self._masked(str(key), inner) for key, inner in value.items()}
            case list() | tuple():
                return [self._masked("", inner) for inner in value]
            case None | bool() | int() | float():
                return value
            case _:
                return self._mask.values(str(value))


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
