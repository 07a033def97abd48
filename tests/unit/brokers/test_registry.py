"""Which brokers a configuration makes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker_support import ManualClock
from onefill.brokers.accounts import BinanceAccount, OpenAlgoAccount, SymbolTerms
from onefill.brokers.registry import build_brokers, paper_accounts
from onefill.config.load import load
from onefill.core.errors import ConfigurationError
from onefill.ports.broker import OrderClass
from onefill.wiring.accounts import accounts_of


@pytest.mark.req("ORD-12", "ORD-14")
def test_paper_accounts_are_the_default_at_every_broker() -> None:
    brokers = build_brokers(paper_accounts("http://127.0.0.1:9100"), ManualClock())
    assert set(brokers) == {("binance", "paper"), ("openalgo", "paper")}
    assert all(broker.is_paper for broker in brokers.values())


@pytest.mark.req("ORD-6", "ORD-14")
def test_live_is_said_in_so_many_words() -> None:
    account = BinanceAccount(
        base_url="https://fapi.binance.com", account="main", api_key="k", api_secret="s", live=True
    )
    (broker,) = build_brokers([account], ManualClock()).values()
    assert not broker.is_paper
    assert broker.capabilities.order_class is OrderClass.B
    assert broker.capabilities.visibility_lag_ms >= 10_000
    (broker,) = build_brokers([replace(account, live=False)], ManualClock()).values()
    assert broker.is_paper


def test_two_accounts_of_one_name_are_refused() -> None:
    account = OpenAlgoAccount(base_url="http://127.0.0.1:5000")
    with pytest.raises(ConfigurationError, match="same name"):
        build_brokers([account, account], ManualClock())


@pytest.mark.req("ORD-12", "ORD-14")
def test_a_live_stream_is_never_in_the_clear_and_a_paper_one_is_the_paper_venues() -> None:
    live = BinanceAccount(
        base_url="https://fapi.binance.com", account="main", api_key="k", api_secret="s", live=True
    )
    assert live.stream_address == "wss://fapi.binance.com/private/ws"
    with pytest.raises(ConfigurationError, match="wss"):
        replace(live, stream_url="ws://fstream.binance.com/private/ws")
    paper, _ = paper_accounts("http://127.0.0.1:9100/")
    assert isinstance(paper, BinanceAccount)
    assert paper.stream_address == "ws://127.0.0.1:9100/private/ws"


@pytest.mark.req("ORD-12")
def test_what_is_set_for_binance_reaches_its_account() -> None:
    environ = {
        "ONEFILL_BROKERS__BINANCE__SYMBOLS__BTCUSDT__LEVERAGE": "5",
        "ONEFILL_BROKERS__BINANCE__SYMBOLS__BTCUSDT__MARGIN": "isolated",
        "ONEFILL_BROKERS__BINANCE__STREAM_URL": "wss://elsewhere/ws",
    }
    account, _ = accounts_of(load(environ=environ).settings)
    assert isinstance(account, BinanceAccount)
    assert account.symbols == {"BTCUSDT": SymbolTerms(leverage=5, margin="ISOLATED")}
    assert account.stream_url == ""  # a paper account talks to nothing but the paper venue
