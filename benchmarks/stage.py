"""What every chapter of the benchmark is given."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from databases import Databases


@dataclass(frozen=True)
class Stage:
    """Where to measure, for how long, and whom to tell of the progress."""

    databases: Databases
    folder: Path
    seconds: float
    full: bool
    console: Console
    began: float = field(default_factory=time.perf_counter)

    @property
    def held_s(self) -> float:
        """How long a steady load is held: 60 s in a full run (P-2)."""
        return 60.0 if self.full else self.seconds * 2

    def tell(self, what: str) -> None:
        """One line of progress."""
        self.console.print(f"[dim]{time.perf_counter() - self.began:6.0f} s[/]  {what}")
