"""One line an event, and never a secret in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from onefill.node.logs import set_up_logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.req("OPS-8")
def test_a_line_names_instance_epoch_signal_and_order() -> None:
    stream = io.StringIO()
    context = set_up_logs(instance="prod", secrets=(), as_json=True, stream=stream)
    context.epoch = 7
    with structlog.contextvars.bound_contextvars(signal=12, client_order_id="ofabc"):
        structlog.get_logger().info("executor.sent", price="1.5")
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "executor.sent",
        "level": "info",
        "instance": "prod",
        "epoch": 7,
        "signal": 12,
        "client_order_id": "ofabc",
        "price": "1.5",
    }


@pytest.mark.req("OPS-8", "SIG-7")
@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_are_masked_by_value_and_by_name_wherever_they_stand(as_json: bool) -> None:
    stream = io.StringIO()
    set_up_logs(instance="prod", secrets=["hunter2-hunter2"], as_json=as_json, stream=stream)
    log = structlog.get_logger()
    log.info("about hunter2-hunter2", url="http://x/hunter2-hunter2", secret="unknown-one")
    log.info("nested", request={"api_key": "unknown-two", "path": ["hunter2-hunter2"]})
    log.info("object", error=ValueError("hunter2-hunter2"), webhook_token="unknown-three")
    try:
        raise KeyError("hunter2-hunter2")
    except KeyError:
        log.exception("failed")
    logging.getLogger("library").warning("it said %s", "hunter2-hunter2")
    text = stream.getvalue()
    assert "hunter2" not in text
    assert "unknown" not in text
    assert "KeyError" in text
    assert "it said ***" in text


@pytest.mark.req("OPS-8")
def test_levels_are_kept_and_text_is_one_line_an_event() -> None:
    stream = io.StringIO()
    set_up_logs(instance="prod", secrets=(), as_json=False, level="warning", stream=stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud", number=1)
    (line,) = stream.getvalue().splitlines()
    assert "loud" in line
    assert "number=1" in line
