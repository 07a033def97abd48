"""The command as a person and a script see it: a process, its output, its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import environment, free_port, onefill, until
from unit.cli.instance import Instance, running
from unit.cli.recordings import TRADES

VERBS = ("demo", "serve", "exchange", "send", "replay", "signals", "positions", "orders")
VERBS += ("status", "migrate", "doctor", "config", "pause", "resume")


def run(
    *arguments: str, folder: Path, text: str | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """One command, in a folder and with an environment of its own."""
    variables = {k: v for k, v in environment(**env).items() if k in env or "ONEFILL" not in k}
    return subprocess.run(
        [sys.executable, "-m", "onefill", *arguments],
        cwd=folder,
        env={**variables, "NO_COLOR": "1", "COLUMNS": "120"},
        input=text,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture
def instance() -> Iterator[Instance]:
    with running(Instance(polls=1)) as made:
        yield made


@pytest.mark.req("IF-7")
def test_help_lists_every_verb_and_each_has_examples(tmp_path: Path) -> None:
    listed = run("--help", folder=tmp_path).stdout
    assert [verb for verb in VERBS if f" {verb} " not in listed] == []
    for verb in ("serve", "replay", "doctor"):
        assert "Examples" in run(verb, "--help", folder=tmp_path).stdout


@pytest.mark.req("IF-8")
def test_a_written_configuration_passes_its_check(tmp_path: Path) -> None:
    assert run("config", "init", folder=tmp_path).returncode == 0
    checked = run("config", "check", folder=tmp_path)
    assert (checked.returncode, "onefill.toml" in checked.stdout) == (0, True)
    again = run("config", "init", folder=tmp_path)
    assert (again.returncode, "exists" in again.stderr) == (1, True)


@pytest.mark.req("IF-8")
def test_a_misspelt_key_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "onefill.toml").write_text("max_age = 5\n")
    checked = run("config", "check", folder=tmp_path)
    assert checked.returncode == 1
    assert "Did you mean max_age_s?" in checked.stderr


def test_shown_settings_name_their_origin_and_hide_secrets(tmp_path: Path) -> None:
    secret = "sesame-sesame-sesame"
    shown = run("config", "show", "--json", folder=tmp_path, ONEFILL_WEBHOOK_SECRET=secret)
    rows = {row["key"]: row for row in json.loads(shown.stdout)}
    assert rows["webhook_secret"]["origin"] == "environment ONEFILL_WEBHOOK_SECRET"
    assert rows["port"] == {"key": "port", "value": "8095", "origin": "default"}
    assert secret not in shown.stdout


@pytest.mark.req("IF-7")
def test_exit_codes_tell_usage_from_unreachable(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert run("status", "--url", nowhere, folder=tmp_path).returncode == 3
    assert run("status", "--nonsense", folder=tmp_path).returncode == 2
    assert run("send", "base_entry", folder=tmp_path).returncode == 2
    assert run("send", "buy", "--url", nowhere, folder=tmp_path).returncode == 3
    assert run("serve", "--role", "none of it", folder=tmp_path).returncode == 1


@pytest.mark.req("SIG-20")
def test_a_sent_signal_carries_the_secret_and_tells_its_end(
    tmp_path: Path, instance: Instance
) -> None:
    arguments = ("send", "base_entry", "--price", "60000", "--order-id", "x", "--wait", "--json")
    sent = run(
        *arguments, "--url", instance.url, folder=tmp_path, ONEFILL_WEBHOOK_SECRET="s-e-c-r-e-t"
    )
    assert json.loads(sent.stdout)["status"] == "executed", sent.stderr
    (body,) = instance.posts
    assert (body["secret"], body["price"], body["stop"]) == ("s-e-c-r-e-t", 60000, 59400)


def test_a_signal_is_taken_from_standard_input(tmp_path: Path, instance: Instance) -> None:
    text = '{"action": "buy", "order_id": "y", "contracts": 0.1}'
    sent = run("send", "-", "--url", instance.url, folder=tmp_path, text=text)
    assert (sent.returncode, instance.posts[0]["contracts"]) == (0, 0.1)


@pytest.mark.req("SIG-20")
def test_a_replay_sends_all_in_order_and_again_finds_all_done(
    tmp_path: Path, instance: Instance
) -> None:
    (tmp_path / "trades.csv").write_text(TRADES, encoding="utf-8")
    arguments = ("replay", "trades.csv", "--lots", "file", "--url", instance.url, "--json")
    instance.refuse = [503]
    first = run(*arguments, folder=tmp_path, ONEFILL_VENUE_URL="http://127.0.0.1:1")
    told = json.loads(first.stdout)
    assert (told["signals"], told["duplicates"], told["orders"]) == (7, 0, {"FILLED": 7})
    assert instance.puts == [
        ("/api/portfolios/replay", {"sizing": "signal", "time_basis": "signal"})
    ]
    times = [body["timestamp"] for body in instance.posts]
    assert times == sorted(times)
    again = run(*arguments, folder=tmp_path, ONEFILL_VENUE_URL="http://127.0.0.1:1")
    assert json.loads(again.stdout)["duplicates"] == 7
    assert len(instance.signals) == 7


@pytest.mark.req("IF-7")
def test_the_doctor_finds_a_venue_and_a_durable_database(tmp_path: Path, database_url: str) -> None:
    port = free_port()
    data = str(tmp_path / "venue")
    with onefill("exchange", "--port", str(port), "--data", data) as venue:
        assert venue.stdout is not None
        assert str(port) in venue.stdout.readline()
        examined = run(
            "doctor",
            "--json",
            folder=tmp_path,
            ONEFILL_DATABASE_URL=database_url,
            ONEFILL_VENUE_URL=f"http://127.0.0.1:{port}",
            ONEFILL_PORT=str(free_port()),
            ONEFILL_OPERATOR_TOKEN="short",
        )
    found = {row["subject"]: row for row in json.loads(examined.stdout)}
    assert examined.returncode == 0, examined.stdout
    for subject in ("fsync", "synchronous_commit", "primary", "connection", "paper venue"):
        assert found[subject]["grade"] == "OK", found[subject]
    assert found["operator_token"]["grade"] == "WARN"


@pytest.mark.req("IF-7")
def test_the_doctor_fails_what_cannot_work(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    examined = run("doctor", "--json", folder=tmp_path, ONEFILL_DATABASE_URL=url)
    assert examined.returncode == 1
    failed = [row for row in json.loads(examined.stdout) if row["grade"] == "FAIL"]
    assert [row["subject"] for row in failed] == ["database"]
    assert failed[0]["remedy"]


async def test_a_server_that_is_away_says_so_to_a_script(tmp_path: Path) -> None:
    def paused() -> bool:
        ended = run("pause", "--url", f"http://127.0.0.1:{free_port()}", folder=tmp_path)
        return ended.returncode == 3 and "onefill serve" in ended.stderr

    await until(paused)
