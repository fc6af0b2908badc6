"""What a training does at a moment, told from its stack by rules about files and functions.

Where rules fit frames of the training loop, the innermost such frame decides: a forward pass that a
capture makes is capture. Only where none fits, the rules of the time before and after are asked.

On a GPU the phases are those of the Python thread, which waits for the device where it reads a value.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from qa_research.ledger.stacks import Frame, Stack

STARTING, ENDING, UNKNOWN = "starting Python", "ending Python", "unknown"
# In the order in which a training goes through them.
PHASES = (
    STARTING,
    "imports",
    "configuration",
    "data",
    "tokenizing",
    "model",
    "waiting for data",
    "forward",
    "backward",
    "optimizer",
    "validation",
    "capture",
    "checkpoint",
    "logging",
    "between",
    ENDING,
    UNKNOWN,
)
# Those of the optimizer steps themselves; the others come before them, after them, or every so often.
STEPPING = ("waiting for data", "forward", "backward", "optimizer")


@dataclass(frozen=True, slots=True)
class Rule:
    """A frame of these files is of this phase. A file that ends with a slash is a folder; * is any name.

    `functions`: only those of the file; (): all. `yields_to`: phases that count instead if a frame further
    out is of one of them.
    """

    phase: str
    files: tuple[str, ...]
    functions: tuple[str, ...] = ()
    yields_to: tuple[str, ...] = ()

    def fits(self, frame: Frame) -> bool:
        """Whether a frame is of this phase, as far as that is seen from itself."""
        if self.functions and frame.function not in self.functions:
            return False
        return any(
            fnmatchcase(frame.file, f"{file}*" if file.endswith("/") else file)
            for file in self.files
        )


_LIGHTNING, _LAB = "lightning/pytorch/", "qa_research/"
_STRATEGY = f"{_LIGHTNING}strategies/strategy.py"
_TRAINER = f"{_LIGHTNING}trainer/trainer.py"
_LOOPS = f"{_LIGHTNING}loops/"
_IMPORTING = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")
_LOOP_RULES = (
    Rule("imports", _IMPORTING),
    Rule("checkpoint", (_TRAINER,), ("save_checkpoint",)),
    Rule("checkpoint", (f"{_LIGHTNING}trainer/connectors/checkpoint_connector.py",)),
    Rule("checkpoint", tuple(f"{_LAB}training/{n}.py" for n in ("best", "kept", "resumable"))),
    Rule("capture", (f"{_LAB}capture/",)),
    Rule("logging", (f"{_LAB}trackers/", f"{_LAB}ledger/", f"{_LAB}console.py")),
    Rule("logging", tuple(f"{_LAB}training/{n}.py" for n in ("metrics", "progress", "record"))),
    Rule("logging", (f"{_LIGHTNING}trainer/connectors/logger_connector/", f"{_LIGHTNING}loggers/")),
    Rule("validation", (f"{_LOOPS}evaluation_loop.py",), ("run",)),
    Rule("backward", (_STRATEGY,), ("backward",)),
    Rule("backward", ("torch/autograd/graph.py",), ("_engine_run_backward",)),
    Rule("backward", ("torch/_tensor.py", "torch/autograd/__init__.py"), ("backward",)),
    Rule("forward", (_STRATEGY,), ("training_step",)),
    Rule("optimizer", (_STRATEGY,), ("optimizer_step",)),
    Rule("optimizer", (f"{_LOOPS}optimization/automatic.py",), ("_optimizer_step",)),
    Rule("optimizer", (f"{_LOOPS}training_epoch_loop.py",), ("update_lr_schedulers",)),
    Rule(
        "waiting for data",
        ("torch/utils/data/", f"{_LOOPS}fetchers.py"),
        yields_to=("validation", "capture"),
    ),
    Rule("waiting for data", (_STRATEGY,), ("batch_to_device",), ("validation", "capture")),
)
_A_TASK = f"{_LAB}tasks/*/"
_OTHER_RULES = (
    Rule("tokenizing", tuple(f"{_A_TASK}{n}.py" for n in ("windows", "labels", "batches"))),
    Rule("tokenizing", (f"{_LAB}model/tokenizer.py",), ("encode_windows", "text_ids")),
    Rule("model", (f"{_LAB}model/", f"{_A_TASK}module.py", f"{_LAB}tasks/learning.py")),
    Rule("data", (f"{_LAB}tasks/", f"{_LAB}caches.py")),
    Rule("between", (_LIGHTNING,)),
    Rule("configuration", ("hydra/", "omegaconf/", f"{_LAB}")),
)


def phase_of(stack: Stack) -> str:
    """The phase that a stack shows; the innermost frame that a rule knows decides.

    >>> fit = Frame("lightning/pytorch/trainer/trainer.py", 630, "_fit_impl")
    >>> step = Frame("lightning/pytorch/strategies/strategy.py", 391, "training_step")
    >>> phase_of((fit, step, Frame("torch/nn/modules/linear.py", 134, "forward")))
    'forward'
    """
    phase = _innermost(stack, of_loop=True) or _innermost(stack, of_loop=False)
    # What is set up within `fit` belongs to it.
    if phase == "configuration" and any(f.file == _TRAINER for f in stack):
        return "between"
    return phase or UNKNOWN


def _innermost(stack: Stack, of_loop: bool) -> str | None:
    for place in range(len(stack) - 1, -1, -1):
        rule = _rule(stack[place], of_loop)
        if rule is not None:
            outer = {found.phase for f in stack[:place] if (found := _rule(f, of_loop))}
            return next((phase for phase in rule.yields_to if phase in outer), rule.phase)
    return None


# A training has a few thousand frames, each in many stacks.
@lru_cache(maxsize=1 << 16)
def _rule(frame: Frame, of_loop: bool) -> Rule | None:
    rules = _LOOP_RULES if of_loop else _OTHER_RULES
    return next((rule for rule in rules if rule.fits(frame)), None)
