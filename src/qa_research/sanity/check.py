"""What a check is, and what it finds: green, red, or why it is skipped."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from qa_research.sanity.bench import Bench

Verdict = Literal["ok", "red", "skipped"]


@dataclass(frozen=True)
class Found:
    """What a check found. `measured` and `expected` in words; `look_at`: where a red one's cause may be."""

    verdict: Verdict
    measured: str
    expected: str = ""
    look_at: str = ""

    @classmethod
    def judged(cls, is_right: bool, measured: str, expected: str, look_at: str) -> "Found":
        """Green or red."""
        return cls("ok" if is_right else "red", measured, expected, look_at)

    @classmethod
    def skipped(cls, why: str) -> "Found":
        """The check makes no sense here; `why`, as a clause."""
        return cls("skipped", why)


@dataclass(frozen=True)
class Check:
    """A check by its name, such as `no leak across the batch`; `trains`: it needs a config that does."""

    name: str
    run: Callable[["Bench"], Found]
    trains: bool = False

    def found(self, bench: "Bench") -> Found:
        """What it finds."""
        if self.trains and not bench.learns:
            return Found.skipped("trainer.max_steps=0 trains nothing")
        return self.run(bench)


@dataclass(frozen=True)
class Checked:
    """A check that was made; `seconds`: of wall clock."""

    name: str
    found: Found
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Plain values, for --json."""
        return {"check": self.name, **asdict(self.found), "seconds": round(self.seconds, 2)}
