"""The verb: its exit codes, its JSON and its screen."""

import json
import subprocess
import sys

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter

from qa_research.console import Screen
from qa_research.sanity.check import Verdict
from qa_research.sanity.sanity import CHECKS
from tests.tiny_run import TINY

RED = "trainer.gradient_clip_val=1.0e-12"


class Exact(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Row(Exact):
    id: str
    tokens: list[str]
    types: list[int]
    mask: list[int]
    parts: list[str]
    label: str
    truth: str
    spelled: str
    source: str


class OneCheck(Exact):
    check: str
    verdict: Verdict
    measured: str
    expected: str
    look_at: str
    seconds: float


class Printed(Exact):
    ok: bool
    seconds: float
    checks: list[OneCheck]
    rows: list[Row]


@pytest.fixture
def sanity(verb, tmp_path):
    return lambda *words: verb("sanity", *TINY, f"paths.cache={tmp_path}", *words)


def test_json_is_whole_and_alone_on_stdout(sanity):
    code, out, err = sanity("--json", RED)
    found = TypeAdapter(Printed).validate_python(json.loads(out))
    assert (code, found.ok) == (1, False)
    assert [one.check for one in found.checks] == [check.name for check in CHECKS]
    assert all(one.measured for one in found.checks)
    red = {one.check for one in found.checks if one.verdict == "red"}
    assert "clipping leaves the gradient" in red
    assert all(one.expected and one.look_at for one in found.checks if one.check in red)
    assert len(found.rows) == 2
    for row in found.rows:
        assert len(row.tokens) == len(row.mask) == len(row.parts) == len(row.types) > 2
    # The lines are progress.
    assert all(check.name in err for check in CHECKS)


@pytest.mark.parametrize("width", [80, 120])
def test_lines_fit_a_terminal(sanity, monkeypatch, width):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(Screen, "is_terminal", True)
    code, out, _ = sanity(RED)
    lines = out.splitlines()
    assert code == 1 and max(map(len, lines)) <= width
    # What is folded stays in its column.
    verdicts = ("ok ", "red ", "skipped ", " " * 9 + "expected", " " * 9 + "look at", " " * 42)
    assert all(line.startswith(verdicts) for line in lines[: lines.index("")])


@pytest.mark.parametrize(
    ("words", "said"),
    [(["modle=x"], "modle"), (["-m", "seed=1,2"], "-m"), (["seed=1,2"], "sweep")],
)
def test_bad_input_is_one_sentence_and_2(words, said):
    done = subprocess.run(
        [sys.executable, "-c", "from qa_research.cli.main import main; main()", "sanity", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
