"""No false alarm on what is shipped: a part of benchmarks/sane_as_shipped.py."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "sane_as_shipped.py"


def test_every_model_and_experiment_is_among_those_checked():
    script = runpy.run_path(str(SCRIPT))
    experiments = {
        path.stem: path.read_text() for path in (ROOT / "conf/experiment").glob("*.yaml")
    }
    checked = {word for words in script["shipped"]() for word in words}
    assert {f"+experiment={name}" for name in experiments} - checked == {
        f"+experiment={name}" for name in script["NEEDS_THE_HUB"] | script["REFUSED"]
    }
    named = {name for text in experiments.values() for name in re.findall(r"/model: (\w+)", text)}
    models = {path.stem for path in (ROOT / "conf/model").glob("*.yaml")}
    # The default has bert_tiny, and those of masked words are refused.
    checked = {name for name in models if not name.startswith("masked_")}
    assert checked == (named | {"bert_tiny"} | script["MODELS"].keys()) & checked
    assert script["MODELS"].keys() <= checked


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("+experiment=paraphrase",), ("model=modernbert_tiny",)], ids=" ".join
)
def test_what_is_shipped_is_green(words, tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words, f"paths.cache={tmp_path}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *_, row = done.stdout.splitlines()
    assert row.split(" | ")[2] == "0"
