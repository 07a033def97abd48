"""What the mask takes out of a text."""

from __future__ import annotations

import pytest

from onefill.core.masking import Mask, is_secret_name


@pytest.mark.req("SIG-7", "OPS-8")
@pytest.mark.parametrize(
    "text",
    [
        '{"secret": "hidden"}',
        '{"secret":"hid\\"den hidden"',
        '{"secret" : "hidden',
        "{'secret': 'hidden'}",
        "secret=hidden&action=buy",
        "SECRET: hidden",
        '{"\\u0073ecret": "hidden"}',
        '{"api_key": "hidden"}',
        '{"apikey": hidden}',
        "X-Signature: sha256=hidden",
        "known-secret",
        'a "known-secret" b',
    ],
)
def test_secrets_go(text: str) -> None:
    masked = Mask(["known-secret"]).text(text)
    assert "hidden" not in masked
    assert "known" not in masked
    assert "***" in masked


def test_the_rest_stays() -> None:
    text = '{"action": "buy", "secret": "x", "ticker": "SIM001"}'
    assert Mask().text(text) == '{"action": "buy", "secret": ***, "ticker": "SIM001"}'


def test_a_secret_inside_a_longer_one_does_not_spare_the_rest() -> None:
    assert Mask(["abcd", "abcdefgh"]).values("abcdefgh") == "***"


def test_fields_are_secret_by_their_names() -> None:
    assert all(map(is_secret_name, ("secret", "Token", "webhook_secret", "apiKey", "signature")))
    assert not any(map(is_secret_name, ("signal", "tokens_left", "event")))
