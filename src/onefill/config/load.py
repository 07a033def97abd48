"""Loading the configuration as a whole: every error at once, and where each value came from."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from onefill.config import catalogue, sources
from onefill.config.catalogue import Path
from onefill.config.problems import InvalidConfiguration, Problem
from onefill.config.relations import relations, warnings_of
from onefill.config.section import written
from onefill.config.settings import Settings
from onefill.config.sources import Given, Layer

_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can work. origins: by path, who gave each value that is not default."""

    settings: Settings
    origins: Mapping[Path, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    file: FilePath | None = None

    def origin(self, path: Path) -> str:
        """Who gave the value at this path."""
        return self.origins.get(path, _DEFAULT)


def load(
    file: FilePath | None = None,
    profile: str | None = None,
    *,
    options: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """The settings from file, environment and options; each wins over those before it.

    file: by default ONEFILL_CONFIG, else `onefill.toml` here if there is one. profile: by default
    ONEFILL_PROFILE. options: by dotted key, None for not given. environ: by default the process's.
    Raises InvalidConfiguration with every problem. Source: IF-8.
    """
    environ = os.environ if environ is None else environ
    file = _file(file, environ)
    profile = profile or environ.get("ONEFILL_PROFILE") or None
    in_file, problems = _file_layer(file, profile)
    in_environment, more, warnings = sources.from_environment(environ)
    problems += more
    layer = {**in_file, **in_environment, **sources.from_options(options or {})}
    problems += sources.unknown(layer)
    layer, missing = sources.resolved(sources.known(layer), environ)
    problems += missing
    settings, invalid = _validated(layer)
    problems += invalid
    bad = {problem.field for problem in problems}
    problems += [each for each in relations(settings) if not bad & set(each.field.split(", "))]
    if problems:
        raise InvalidConfiguration(problems)
    return Loaded(
        settings=_named(settings),
        origins={path: given.origin for path, given in layer.items()},
        warnings=(*warnings, *warnings_of(settings)),
        file=file,
    )


def _file(file: FilePath | None, environ: Mapping[str, str]) -> FilePath | None:
    if file is not None:
        return file
    if environ.get("ONEFILL_CONFIG"):
        return FilePath(environ["ONEFILL_CONFIG"])
    here = FilePath(sources.FILE)
    return here if here.is_file() else None


def _file_layer(file: FilePath | None, profile: str | None) -> tuple[Layer, list[Problem]]:
    if file is None:
        if profile is None:
            return {}, []
        remedy = "Name a file with --config, or leave the profile out."
        return {}, [Problem("profile", f"{profile!r} is named, but there is no file", remedy)]
    try:
        return sources.from_file(file, profile)
    except InvalidConfiguration as error:
        return {}, list(error.problems)


def _validated(layer: Layer) -> tuple[Settings, list[Problem]]:
    """The settings, and what is wrong; a wrong value is left out, so that the rest is checked."""
    try:
        return Settings.model_validate(sources.tree(layer)), []
    except ValidationError as error:
        problems: dict[Path, Problem] = {}
        for details in error.errors():
            path = _path_in(layer, details)
            problems.setdefault(path, _problem(path, layer.get(path), details))
        rest = {path: given for path, given in layer.items() if path not in problems}
        return Settings.model_validate(sources.tree(rest)), list(problems.values())


def _path_in(layer: Layer, details: ErrorDetails) -> Path:
    """The path of the value that an error is about; its place inside a list is left out."""
    place = tuple(str(part) for part in details["loc"])
    return next((place[:end] for end in range(len(place), 0, -1) if place[:end] in layer), place)


def _problem(path: Path, given: Given | None, details: ErrorDetails) -> Problem:
    key = catalogue.key_at(path)
    message = details["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if key is None or given is None:
        return Problem(".".join(path), message, "See `onefill config show`.")
    may_show = not key.is_secret and "${" not in given.origin
    got = f" (got {written(given.value)}, {given.origin})" if may_show else f" ({given.origin})"
    default = "" if key.default is None else f" Default: {written(key.default)}."
    return Problem(".".join(path), message + got, f"{key.info.description}{default}")


def _named(settings: Settings) -> Settings:
    """The settings with the instance's name filled in where none was given."""
    if settings.instance_id:
        return settings
    try:
        host = socket.gethostname().split(".")[0]
    except OSError:
        host = ""
    letters = "".join(letter for letter in host if letter.isascii() and letter.isalnum())
    name = f"{letters[:20] or 'onefill'}-{settings.port}"
    return settings.model_copy(update={"instance_id": name})
