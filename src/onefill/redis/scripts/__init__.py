"""The Lua scripts: each runs as one step of Redis, and is one file beside this one."""

from __future__ import annotations

from importlib.resources import files


def _text(name: str) -> str:
    return (files(__name__) / f"{name}.lua").read_text(encoding="utf-8")


OPEN, APPEND, COMMIT = _text("open"), _text("append"), _text("commit")
LOOK, LIST, LANES = _text("look"), _text("list"), _text("lanes")
BOOK, STORIES, SIGNALS = _text("book"), _text("stories"), _text("signals")
GRANT = _text("grant")
