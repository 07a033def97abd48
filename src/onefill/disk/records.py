"""Records that tell whether they are whole: length, checksum, text. A torn end is left out."""

from __future__ import annotations

import json
import zlib
from datetime import datetime
from struct import Struct

from onefill.ports.spool import Spooled

_HEAD = Struct(">II")


def record_of(signal: Spooled) -> bytes:
    """One signal as it stands in a file."""
    text = json.dumps([signal.received_at.isoformat(), signal.payload]).encode()
    return _HEAD.pack(len(text), zlib.crc32(text)) + text


def records_in(data: bytes) -> tuple[list[Spooled], int]:
    """The whole records from the beginning on, and how many bytes are left of a torn one."""
    found: list[Spooled] = []
    at = 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        text = data[at + _HEAD.size : at + _HEAD.size + length]
        if length == 0 or len(text) < length or zlib.crc32(text) != checksum:
            break
        received_at, payload = json.loads(text)
        found.append(Spooled(received_at=datetime.fromisoformat(received_at), payload=payload))
        at += _HEAD.size + length
    return found, len(data) - at
