"""Which brokers a configuration makes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker_support import ManualClock
from onefill.brokers.accounts import BinanceAccount, OpenAlgoAccount
from onefill.brokers.registry import build_brokers, paper_accounts
from onefill.core.errors import ConfigurationError
from onefill.ports.broker import OrderClass


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
