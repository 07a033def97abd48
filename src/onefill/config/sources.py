"""Where settings come from: file, profile, environment, options; each value knows its origin."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path as FilePath

from onefill.config import catalogue
from onefill.config.catalogue import PREFIX, Key, Path
from onefill.config.problems import InvalidConfiguration, Problem

NOT_SETTINGS = frozenset({"ONEFILL_CONFIG", "ONEFILL_PROFILE", "ONEFILL_URL", "ONEFILL_FAILPOINT"})
"""Names of the environment that steer the program without being settings."""
FILE = "onefill.toml"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Given:
    """A value as somebody gave it, and who."""

    value: object
    origin: str


Layer = dict[Path, Given]


def from_file(file: FilePath, profile: str | None) -> tuple[Layer, list[Problem]]:
    """All values of a file, with those of one profile laid over them.

    Raises InvalidConfiguration when the file can't be read or has no such profile.
    """
    content = _parsed(file)
    profiles = content.pop("profile", {})
    if not isinstance(profiles, dict):
        raise InvalidConfiguration(
            [Problem("profile", "is not a table", "Write profiles as [profile.NAME] tables.")]
        )
    layer = flat(content, f"file {file.name}")
    if profile is not None:
        if profile not in profiles:
            known = ", ".join(profiles) or "none"
            remedy = f"Name one that the file has ({known}), or add [profile.{profile}]."
            raise InvalidConfiguration([Problem("profile", f"{file} has no {profile!r}", remedy)])
        layer |= flat(profiles[profile], f"file {file.name} [profile.{profile}]")
    unread = [flat(each, f"[profile.{name}]") for name, each in profiles.items() if name != profile]
    # A profile that is not in use is checked for unknown keys all the same.
    return layer, [problem for each in unread for problem in unknown(each)]


def from_environment(environ: Mapping[str, str]) -> tuple[Layer, list[Problem], list[str]]:
    """All values of the environment, what is wrong with it, and warnings.

    An unknown name close to a known one is an error; others may belong to other programs.
    """
    layer: Layer = {}
    problems, warnings = [], []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        path = _path_of(name)
        key = catalogue.key_at(path)
        if key is None:
            near = _near_environment(name)
            if near:
                remedy = f"Did you mean {near}?"
                problems.append(Problem(name, "is not a setting", remedy))
            else:
                warnings.append(f"{name} in the environment is not a setting; it is ignored.")
        elif environ[name].strip() or key.takes_text:
            layer[path] = Given(_from_text(environ[name], key), f"environment {name}")
    return layer, problems, warnings


def from_options(options: Mapping[str, object]) -> Layer:
    """Command-line options by dotted key; those that are None were not given."""
    return {
        tuple(name.split(".")): Given(value, "option")
        for name, value in options.items()
        if value is not None
    }


def flat(content: Mapping[str, object], origin: str) -> Layer:
    """A nested table as values by path."""
    layer: Layer = {}
    for name, value in content.items():
        if isinstance(value, dict) and value:
            below = flat(value, origin)
            layer.update({(name, *path): given for path, given in below.items()})
        else:
            layer[(name,)] = Given(value, origin)
    return layer


def tree(layer: Layer) -> dict[str, object]:
    """Values by path as a nested table; the paths are known, so that none is above another."""
    root: dict[str, object] = {}
    for path, given in layer.items():
        table = root
        for part in path[:-1]:
            below = table.setdefault(part, {})
            assert isinstance(below, dict)
            table = below
        table[path[-1]] = given.value
    return root


def unknown(layer: Layer) -> list[Problem]:
    """A problem for each path that is no setting, naming the nearest one."""
    return [_unknown(path, given) for path, given in layer.items() if not _is_known(path, given)]


def known(layer: Layer) -> Layer:
    """What is left of a layer without its unknown paths and its empty tables."""
    return {path: given for path, given in layer.items() if catalogue.key_at(path) is not None}


def resolved(layer: Layer, environ: Mapping[str, str]) -> tuple[Layer, list[Problem]]:
    """The layer with its ${NAME} references replaced, and what is not in the environment."""
    after: Layer = {}
    problems: list[Problem] = []
    for path, given in layer.items():
        names = _REFERENCE.findall(given.value) if isinstance(given.value, str) else []
        missing = [name for name in names if name not in environ]
        if missing:
            listed = ", ".join(missing)
            remedy = f"Set {listed} in the environment, or take the reference out."
            problems.append(Problem(".".join(path), f"refers to {listed}, which is unset", remedy))
        elif names:
            assert isinstance(given.value, str)
            text = _REFERENCE.sub(lambda match: environ[match[1]], given.value)
            used = ", ".join(f"${{{name}}}" for name in names)
            after[path] = Given(text, f"{given.origin}, {used}")
        else:
            after[path] = replace(given)
    return after, problems


def _is_known(path: Path, given: Given) -> bool:
    if catalogue.key_at(path) is not None:
        return True
    return given.value == {} and catalogue.is_table(path)


def _unknown(path: Path, given: Given) -> Problem:
    name = ".".join(path)
    if catalogue.is_table(path):
        return Problem(name, "is a table of settings, not a value", f"Write [{name}] and its keys.")
    near = catalogue.nearest(path)
    where = f"is not a setting ({given.origin})" if given.origin else "is not a setting"
    remedy = f"Did you mean {near}?" if near else "Take it out; `onefill config show` lists all."
    return Problem(name, where, remedy)


def _parsed(file: FilePath) -> dict[str, object]:
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream, parse_float=Decimal)
    except FileNotFoundError:
        problem = Problem(str(file), "does not exist", "Write one with `onefill config init`.")
    except OSError as error:
        problem = Problem(str(file), f"cannot be read: {error.strerror}", "Mend its permissions.")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = Problem(str(file), f"is not valid TOML: {error}", "Mend that place.")
    raise InvalidConfiguration([problem])


def _path_of(name: str) -> Path:
    if (path := catalogue.CONTRACT_NAMES.get(name)) is not None:
        return path
    parts = name.removeprefix(PREFIX).split("__")
    # Instruments and exchanges are written in capitals, all other names are not.
    capitals = parts[0] in ("INSTRUMENTS", "HOLIDAYS")
    return tuple(
        part if capitals and place == 1 else part.lower() for place, part in enumerate(parts)
    )


def _near_environment(name: str) -> str | None:
    names: Iterable[str] = (*NOT_SETTINGS, *(key.environment for key in catalogue.every_key()))
    near = difflib.get_close_matches(name, list(names), n=1, cutoff=0.85)
    return near[0] if near else None


def _from_text(text: str, key: Key) -> object:
    """A value of the environment; lists and tables are written as JSON."""
    if not key.takes_text and text.lstrip().startswith(("[", "{")):
        try:
            return json.loads(text, parse_float=Decimal)
        except json.JSONDecodeError:
            return text
    return text
