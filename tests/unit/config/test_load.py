"""Loading: what wins, what is wrong, and that all of it is told at once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from onefill.config.load import Loaded, load
from onefill.config.problems import InvalidConfiguration, Problem
from onefill.config.settings import Mode, Role
from onefill.config.show import shown


def loaded(text: str, folder: Path, *, profile: str | None = None, **environ: str) -> Loaded:
    """A configuration from this file and this environment alone."""
    file = folder / "onefill.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, profile, environ=environ)


def problems(text: str, folder: Path, **environ: str) -> dict[str, Problem]:
    """What is wrong with this file in this environment, by field."""
    with pytest.raises(InvalidConfiguration) as caught:
        loaded(text, folder, **environ)
    return {problem.field: problem for problem in caught.value.problems}


def test_defaults_work_alone() -> None:
    settings = load(environ={}).settings
    assert (settings.port, settings.role, settings.max_age_s) == (8095, Role.ALL, Decimal(60))


@pytest.mark.req("IF-8")
def test_options_win_over_the_environment_which_wins_over_profile_and_file(tmp_path: Path) -> None:
    file = tmp_path / "onefill.toml"
    file.write_text(
        'port = 1\nhost = "1.1.1.1"\ninstance_id = "a"\ndeployment = "one"\n'
        '[profile.p]\nhost = "2.2.2.2"\ninstance_id = "b"\ndeployment = "two"\n'
    )
    environ = {"ONEFILL_INSTANCE_ID": "c", "ONEFILL_DEPLOYMENT": "thr"}
    result = load(file, "p", environ=environ, options={"deployment": "fou", "port": None})
    got = result.settings
    assert (got.port, got.host, got.instance_id, got.deployment) == (1, "2.2.2.2", "c", "fou")
    origins = [result.origin((name,)) for name in ("port", "host", "instance_id", "deployment")]
    assert origins == [
        "file onefill.toml",
        "file onefill.toml [profile.p]",
        "environment ONEFILL_INSTANCE_ID",
        "option",
    ]


@pytest.mark.req("IF-8")
def test_every_error_is_told_at_once(tmp_path: Path) -> None:
    text = """
        max_age_s = -4
        prot = 1
        webhook_secret = "${UNSET}"
        operator_token = "same-same-same-same"
        viewer_token = "same-same-same-same"
        [lease]
        renew_every_ms = 2000
        [instruments.PLATINUM]
        exchange = "MCX"
        [profile.other]
        hots = "x"
    """
    found = problems(text, tmp_path, ONEFILL_ROLE="all of it")
    assert {
        "max_age_s",
        "prot",
        "webhook_secret",
        "role",
        "hots",
        "viewer_token, operator_token",
        "lease.ttl_ms, lease.renew_every_ms, lease.call_timeout_ms",
        "instruments.PLATINUM.margin_per_lot",
    } <= set(found)
    assert all(problem.remedy for problem in found.values())


@pytest.mark.req("IF-8")
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("prot = 1", "port"),
        ("[lease]\nttl = 1", "lease.ttl_ms"),
        ("[datbase]\nurl = 'x'", "database.url"),
        ("[instruments.GOLD_MINI]\nmargin = 1", "instruments.GOLD_MINI.margin_per_lot"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(
    written: str, meant: str, tmp_path: Path
) -> None:
    (problem,) = problems(written, tmp_path).values()
    assert problem.remedy == f"Did you mean {meant}?"


def test_a_value_where_a_table_belongs_is_said_to_be_one(tmp_path: Path) -> None:
    found = problems('database = "postgresql://x"', tmp_path)
    assert "is a table" in found["database"].problem


def test_a_misspelt_variable_is_an_error_and_a_strange_one_a_warning() -> None:
    with pytest.raises(InvalidConfiguration, match="ONEFILL_OPERATOR_TOKEN"):
        load(environ={"ONEFILL_OPERATOR_TOKN": "x"})
    assert any("ONEFILL_ELSEWHERE" in each for each in load(environ=strange()).warnings)


def strange() -> dict[str, str]:
    """An environment with a name that belongs to something else."""
    return {"ONEFILL_ELSEWHERE": "x"}


@pytest.mark.req("IF-13")
def test_every_variable_of_the_contract_is_taken() -> None:
    environ = {
        "ONEFILL_DATABASE_URL": "postgresql://u:p@h/d",
        "ONEFILL_REDIS_URL": "",
        "ONEFILL_INSTANCE_ID": "prod",
        "ONEFILL_TOPOLOGY": "shared-database",
        "ONEFILL_MODE": "active-standby",
        "ONEFILL_ACTIVE_BY_DEFAULT": "true",
        "ONEFILL_VENUE_URL": "http://127.0.0.1:1",
        "ONEFILL_WEBHOOK_SECRET": "w",
        "ONEFILL_OPERATOR_TOKEN": "o",
        "ONEFILL_VIEWER_TOKEN": "v",
        "ONEFILL_MAX_AGE_S": "2.5",
        "ONEFILL_MARKET_HOURS": "off",
        "ONEFILL_INITIAL_CAPITAL": "5000000",
        "ONEFILL_RATE_LIMIT": "off",
        "ONEFILL_LOG_FORMAT": "json",
    }
    got = load(environ=environ).settings
    assert got.database.url.get_secret_value() == "postgresql://u:p@h/d"
    assert (got.mode, got.active_by_default, got.market_hours) == (Mode.ACTIVE_STANDBY, True, False)
    assert (got.rate_limit, got.max_age_s) == (0, Decimal("2.5"))
    assert got.secrets == {"default": "w"}


_ON_REDIS = {
    "ONEFILL_TOPOLOGY": "shared-redis",
    "ONEFILL_MODE": "active-standby",
    "ONEFILL_REDIS_URL": "redis://h/0",
}


@pytest.mark.req("CTL-21", "CTL-4")
def test_redis_may_be_the_authority_where_one_instance_acts_at_a_time() -> None:
    settings = load(environ=_ON_REDIS).settings
    assert settings.lease_ttl_ms == 1_500
    assert (
        load(environ={**_ON_REDIS, "ONEFILL_LEASE__TTL_MS": "3000"}).settings.lease_ttl_ms == 3_000
    )
    assert load(environ={}).settings.lease_ttl_ms == 1_200


@pytest.mark.req("CTL-21")
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ONEFILL_MODE", "active-active", "rows can be locked"),
        ("ONEFILL_REDIS_URL", "", "is empty, and Redis is the authority"),
        ("ONEFILL_LIMITS__A__DAILY_LOSS", "5", "hard limits"),
    ],
)
def test_what_can_not_stand_on_redis_is_refused_with_the_reason(
    name: str, value: str, told: str
) -> None:
    with pytest.raises(InvalidConfiguration, match=told):
        load(environ={**_ON_REDIS, name: value})


def test_nested_keys_and_lists_come_from_the_environment_too() -> None:
    environ = {
        "ONEFILL_LEASE__TTL_MS": "3000",
        "ONEFILL_WEBHOOK_SECRETS__TRADINGVIEW": "abc",
        "ONEFILL_INSTRUMENTS__BANK_NIFTY__RISK_PERCENT": "[0.5, 1]",
    }
    got = load(environ=environ).settings
    assert got.lease.ttl_ms == 3000
    assert got.secrets == {"tradingview": "abc"}
    assert got.instruments["BANK_NIFTY"].risk_percent == (Decimal("0.5"), Decimal(1))


@pytest.mark.req("SIG-7")
def test_no_secret_is_ever_shown(tmp_path: Path) -> None:
    secret = "hunter2hunter2"
    text = 'webhook_secret = "${S}"\noperator_token = "hunter2hunter2x"\n[database]\nurl = "${S}"'
    result = loaded(text, tmp_path, S=secret)
    everything = repr(result) + "".join(f"{row}" for row in shown(result))
    assert secret not in everything
    wrong = problems("operator_token = 1\nport = '${S}'", tmp_path, S=secret)
    assert secret not in "".join(f"{problem}" for problem in wrong.values())


@pytest.mark.req("CTL-3")
@pytest.mark.parametrize(
    ("lease", "holds"),
    [
        ("ttl_ms = 850\nrenew_every_ms = 250\ncall_timeout_ms = 300\ngive_up_ms = 849", False),
        ("ttl_ms = 851\nrenew_every_ms = 250\ncall_timeout_ms = 300\ngive_up_ms = 850", True),
        ("ttl_ms = 800\nrenew_every_ms = 250\ncall_timeout_ms = 300\ngive_up_ms = 700", False),
        ("give_up_ms = 1200", False),
    ],
)
def test_the_timings_of_a_lease_fit_together(lease: str, holds: bool, tmp_path: Path) -> None:
    if holds:
        loaded(f"[lease]\n{lease}", tmp_path)
    else:
        assert problems(f"[lease]\n{lease}", tmp_path)


@pytest.mark.req("ORD-14")
def test_live_needs_broker_strategy_and_an_account_of_its_own(tmp_path: Path) -> None:
    live = '[brokers.binance]\nlive = true\napi_key = "k"\napi_secret = "s"\naccount = "real"\n'
    assert "brokers.binance.account" in problems(live.replace("real", "paper"), tmp_path)
    assert "brokers.binance.api_key" in problems(live.replace('"k"', '""'), tmp_path)
    assert "strategies.main.live" in problems("[strategies.main]\nlive = true", tmp_path)
    only_broker = loaded(live, tmp_path).settings
    both = loaded(live + "[strategies.main]\nlive = true", tmp_path).settings
    assert not only_broker.is_live("binance", "main")
    assert both.is_live("binance", "main")
    assert not both.is_live("openalgo", "main")
    assert not both.is_live("binance", "replay")


def test_an_instance_without_a_name_is_called_by_host_and_port() -> None:
    name = load(environ={}, options={"port": 8111}).settings.instance_id
    assert name.endswith("-8111")


@pytest.mark.parametrize("text", ["port = ", "a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_a_problem_of_that_file(text: str, tmp_path: Path) -> None:
    (problem,) = problems(text, tmp_path).values()
    assert "not valid TOML" in problem.problem


def test_a_profile_that_the_file_lacks_names_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="production"):
        loaded("[profile.production]\nport = 1", tmp_path, profile="prod")
