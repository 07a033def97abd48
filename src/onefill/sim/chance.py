"""Chance that can be had again: every draw follows from the seed. The only place with a die."""

from __future__ import annotations

import random

Chance = random.Random
"""One stream of draws."""


def stream(seed: int, purpose: str) -> Chance:
    """The stream of this seed for one purpose, so that more draws here change none elsewhere."""
    return random.Random(f"{seed}/{purpose}")
