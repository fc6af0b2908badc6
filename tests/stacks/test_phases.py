"""Phases: which rule decides, and that the rules name what the installed Lightning and torch have."""

import importlib.util
import re
from pathlib import Path

import pytest

from qa_research.ledger.stacks import Frame
from qa_research.stacks.phases import _LOOP_RULES, _OTHER_RULES, PHASES, UNKNOWN, phase_of

PL = "lightning/pytorch/"
FIT = Frame(f"{PL}trainer/trainer.py", 630, "_fit_impl")
OPTIMIZER = Frame(f"{PL}strategies/strategy.py", 239, "optimizer_step")
FORWARD = Frame(f"{PL}strategies/strategy.py", 391, "training_step")
BACKWARD = Frame(f"{PL}strategies/strategy.py", 213, "backward")
VALIDATION = Frame(f"{PL}loops/evaluation_loop.py", 153, "run")
LOADER = Frame("torch/utils/data/dataloader.py", 700, "__next__")
COLLATE = Frame("qa_research/tasks/answering/batches.py", 50, "collate")
LINEAR = Frame("torch/nn/modules/linear.py", 134, "forward")
CAPTURE = Frame("qa_research/capture/callback.py", 100, "on_train_batch_end")
SAVE = Frame(f"{PL}trainer/trainer.py", 1400, "save_checkpoint")
IMPORT = Frame("<frozen importlib._bootstrap>", 1176, "_find_and_load")
HYDRA = Frame("hydra/main.py", 94, "decorated_main")


@pytest.mark.parametrize(
    ("stack", "phase"),
    [
        ((HYDRA, FIT, OPTIMIZER, FORWARD, LINEAR), "forward"),
        ((HYDRA, FIT, OPTIMIZER, BACKWARD), "backward"),
        ((HYDRA, FIT, OPTIMIZER, Frame("torch/optim/adamw.py", 80, "step")), "optimizer"),
        ((HYDRA, FIT, LOADER, COLLATE), "waiting for data"),
        ((HYDRA, FIT, VALIDATION, LOADER, COLLATE), "validation"),
        ((HYDRA, FIT, VALIDATION, LINEAR), "validation"),
        ((HYDRA, FIT, VALIDATION, SAVE), "checkpoint"),
        ((HYDRA, FIT, CAPTURE, LINEAR), "capture"),
        ((HYDRA, FIT, CAPTURE, LOADER), "capture"),
        ((HYDRA, FIT, Frame(f"{PL}loops/fit_loop.py", 217, "run")), "between"),
        ((HYDRA, FIT, FORWARD, IMPORT), "imports"),
        ((HYDRA, Frame("qa_research/training/setup.py", 80, "set_up")), "configuration"),
        ((HYDRA, Frame("qa_research/model/weights.py", 80, "load")), "model"),
        ((HYDRA, Frame("qa_research/tasks/answering/windows.py", 80, "make")), "tokenizing"),
        ((HYDRA, Frame("qa_research/tasks/answering/squad.py", 80, "read")), "data"),
        ((HYDRA, Frame("qa_research/trackers/tensorboard.py", 80, "graph")), "logging"),
        # Outer frames that were cut off do not matter.
        ((FORWARD, LINEAR), "forward"),
        ((LINEAR,), UNKNOWN),
        ((), UNKNOWN),
    ],
)
def test_the_innermost_known_frame_decides(stack, phase):
    assert phase_of(stack) == phase
    assert phase in PHASES


@pytest.mark.parametrize(
    "rule", [*_LOOP_RULES, *_OTHER_RULES], ids=lambda r: f"{r.phase}-{r.files[0]}"
)
def test_every_file_and_function_of_a_rule_exists(rule):
    for file in rule.files:
        if file.startswith("<"):
            continue
        package, _, rest = file.partition("/")
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.origin is not None
        folder = Path(spec.origin).parent
        assert any(folder.glob(rest)) if rest else folder.exists(), file
    if rule.functions:
        text = "".join(path.read_text() for file in rule.files if (path := _path(file)).is_file())
        for function in rule.functions:
            assert re.search(rf"def {function}\(", text), f"{rule.files}: {function}"


def _path(file):
    package, _, rest = file.partition("/")
    return Path(importlib.util.find_spec(package).origin).parent / rest
