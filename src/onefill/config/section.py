"""What all tables of the configuration have in common."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr

from onefill.core.money import plain

NOTHING = SecretStr("")
"""A secret that is not set."""


class Section(BaseModel):
    """One table of the configuration: frozen, complete, and with no room for unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


def _finite(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise ValueError("is not a finite number")
    return value


Number = Annotated[Decimal, AfterValidator(_finite)]
"""A finite decimal."""


def written(value: object) -> str:
    """A setting's value as TOML writes it, with every secret masked."""
    if isinstance(value, SecretStr):
        return '"***"' if value.get_secret_value() else '""'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, int | date):
        return str(value)
    if isinstance(value, list | tuple | frozenset | set):
        items = sorted(value) if isinstance(value, frozenset | set) else value
        return "[" + ", ".join(written(item) for item in items) + "]"
    return f'"{value}"'
