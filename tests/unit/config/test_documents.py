"""What is written about the settings agrees with what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onefill.config import catalogue
from onefill.config.init import commented_file
from onefill.config.load import load
from onefill.config.reference import reference
from support import ROOT


def test_every_setting_has_a_description_and_a_variable_of_its_own() -> None:
    keys = catalogue.every_key()
    assert [key.name for key in keys if not key.info.description] == []
    assert len({key.environment for key in keys}) == len(keys)


@pytest.mark.req("IF-8")
def test_the_reference_in_the_documentation_is_current() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == reference(), "run: onefill config reference > docs/configuration.md"


@pytest.mark.req("IF-8")
def test_the_commented_file_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "onefill.toml"
    file.write_text(commented_file(), encoding="utf-8")
    assert load(file, environ={}).settings == load(environ={}).settings


def test_every_example_of_the_commented_file_is_valid(tmp_path: Path) -> None:
    names = {key.path[-1] for key in catalogue.every_key()} | {"tradingview"}
    begins = "|".join(rf"{name} = .*$" for name in sorted(names))
    text = re.sub(rf"(?m)^# (?=\[[A-Za-z_.]+\]$|{begins})", "", commented_file())
    file = tmp_path / "onefill.toml"
    file.write_text(text, encoding="utf-8")
    variables = dict.fromkeys(re.findall(r"\$\{(ONEFILL_\w+)\}", text), "")
    draws = {name: f"drawn for {name}" for name in variables}
    draws["ONEFILL_REDIS_URL"] = "redis://127.0.0.1:6379"
    assert "main" in load(file, environ=draws).settings.strategies
