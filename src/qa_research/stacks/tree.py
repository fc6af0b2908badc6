"""The tree of calls that samples show, from a function down: how a trainer works, and what takes its time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from qa_research.ledger.stacks import Frame, Sample, Stack, tallies
from qa_research.stats import Ratio, exact_ratio
from qa_research.text import did_you_mean

START = "trainer/trainer.py:fit"
# Frames that only call what they were given, by file: None is all of its functions.
WRAPPERS: dict[str, tuple[str, ...] | None] = {
    "torch/nn/modules/module.py": ("_wrapped_call_impl", "_call_impl", "inner"),
    "torch/nn/utils/clip_grad.py": ("_no_grad_wrapper",),
    "torch/optim/lr_scheduler.py": ("wrapper",),
    "torch/optim/optimizer.py": ("wrapper", "_use_grad", "maybe_fallback"),
    "torch/utils/_contextlib.py": ("decorate_context",),
    "lightning/pytorch/loops/utilities.py": ("_decorator",),
    "lightning/pytorch/trainer/call.py": None,
    "transformers/modeling_layers.py": ("forward_with_checkpointing", "__call__"),
    "transformers/utils/generic.py": ("wrapper",),
    "transformers/utils/output_capturing.py": ("wrapper",),
    "<frozen importlib._bootstrap>": None,
    "<frozen importlib._bootstrap_external>": None,
}
# What stands before the outermost known frame of a stack that was cut.
CUT = Frame("", 0, "(outermost frames are missing)")
# Of a chain of calls that is shown as one line, so many names.
MOST_NAMES = 5


@dataclass(slots=True)
class Call:
    """A line that was reached in one way. `count`: samples in which it was; `own`: those that ended in it."""

    frame: Frame
    count: int = 0
    own: int = 0
    calls: dict[Frame, "Call"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallTree:
    """What a function calls. `share`: of the samples that have it; `calls`: its lines, most frequent first.

    `files`: where the function is defined: several if more than one has its name. `cut`: samples whose
    outermost frames are missing and that do not show the function, which may have called them all the
    same.
    """

    start: str
    share: Ratio
    files: tuple[str, ...]
    calls: tuple[Call, ...]
    cut: int


@dataclass(frozen=True, slots=True)
class TreeLine:
    """A line of a printed tree. `share`: of the samples that have the tree's function, in [0, 1].

    `branch`: what is drawn before it. `names`: the functions of a chain of calls, from the outermost.
    `frame`: the first of them, which tells it from its neighbours; None for the sum of what is too small
    to be shown alone.
    """

    share: float
    branch: str
    names: tuple[str, ...]
    frame: Frame | None

    @property
    def chain(self) -> str:
        """The names in the room that a line has.

        >>> TreeLine(1.0, "", tuple("abcdefg"), None).chain
        'a → b → … 3 more → f → g'
        """
        hidden = len(self.names) - MOST_NAMES + 1
        if hidden < 2:
            return " → ".join(self.names)
        return " → ".join((*self.names[:2], f"… {hidden} more", *self.names[-2:]))


def call_tree(samples: Sequence[Sample], start: str, has_wrappers: bool) -> CallTree:
    """The calls below the outermost frame of a function, merged over all samples.

    `start`: the function's name, or FILE:NAME with the end of its file's path. `has_wrappers`: with the
    frames that only pass a call on.

    Raises:
        ValueError: no sample has the function; the message names one that is similar.
    """
    root = Call(Frame("", 0, start))
    files: dict[str, None] = {}
    for stack, count in tallies(samples):
        place = next((i for i, frame in enumerate(stack) if is_named(frame, start)), None)
        if place is None:
            continue
        files[stack[place].file] = None
        _add(root, stack[place:] if has_wrappers else without_wrappers(stack[place:]), count)
    if not root.count:
        raise ValueError(_not_found(samples, start))
    cut = sum(s.is_cut and not any(is_named(frame, start) for frame in s.stack) for s in samples)
    share = exact_ratio(root.count, len(samples))
    return CallTree(start, share, tuple(files), tuple(_sorted(root)), cut)


def is_named(frame: Frame, name: str) -> bool:
    """Whether a frame is of the function NAME, or FILE:NAME.

    >>> fit = Frame("lightning/pytorch/trainer/trainer.py", 630, "fit")
    >>> is_named(fit, "fit"), is_named(fit, "trainer.py:fit"), is_named(fit, "er.py:fit")
    (True, True, False)
    """
    file, _, function = name.rpartition(":")
    return frame.function == function and (
        not file or frame.file == file or frame.file.endswith(f"/{file}")
    )


def named_stack(sample: Sample) -> Stack:
    """A sample's stack for people: where it has no frames, or too few, a frame that says so."""
    if not sample.stack:
        return (Frame("", 0, f"({sample.phase})"),)
    return (CUT, *sample.stack) if sample.is_cut else sample.stack


def is_wrapper(frame: Frame) -> bool:
    """Whether a frame only calls what it was given."""
    if frame.file not in WRAPPERS:
        return False
    functions = WRAPPERS[frame.file]
    return functions is None or frame.function in functions


def without_wrappers(stack: Stack) -> Stack:
    """A stack without the frames that only pass a call on; its outermost and innermost frames stay."""
    return (*stack[:1], *(f for f in stack[1:-1] if not is_wrapper(f)), *stack[1:][-1:])


def tree_lines(
    tree: CallTree, depth: int | None, smallest: float, is_whole: bool
) -> list[TreeLine]:
    """The tree as lines, the most frequent calls first.

    `depth`: of the lines, in branches; None: all. `smallest`: calls of a smaller share, in [0, 1], are
    only summed up, or left out if their sum is smaller, too. `is_whole`: a line for each call; else a
    chain of calls, each with all samples of the one before, is one line.
    """
    total = tree.share.right
    lines: list[TreeLine] = []

    def show(calls: Sequence[Call], before: str, level: int) -> None:
        shown = [call for call in calls if call.count >= smallest * total]
        rest = calls[len(shown) :]
        if sum(call.count for call in rest) < smallest * total:
            rest = []
        for place, call in enumerate(shown):
            is_last = place == len(shown) - 1 and not rest
            chain = [call] if is_whole else list(_chain(call))
            names = tuple(one.frame.function for one in chain)
            branch = "" if level == 0 else before + ("└ " if is_last else "├ ")
            lines.append(TreeLine(call.count / total, branch, names, call.frame))
            if depth is None or level + 1 < depth:
                inner = "" if level == 0 else before + ("  " if is_last else "│ ")
                show(_sorted(chain[-1]), inner, level + 1)
        if rest:
            branch = "" if level == 0 else f"{before}└ "
            lines.append(TreeLine(sum(c.count for c in rest) / total, branch, _rest(rest), None))

    show(tree.calls, "", 0)
    return lines


def tree_json(calls: Sequence[Call], total: int) -> list[dict[str, Any]]:
    """The calls as JSON's values, with all below them; shares of `total` samples."""
    return [
        {
            "function": call.frame.function,
            "file": call.frame.file,
            "line": call.frame.line,
            "text": call.frame.text,
            "samples": call.count,
            "own_samples": call.own,
            "share": call.count / total,
            "calls": tree_json(_sorted(call), total),
        }
        for call in calls
    ]


def _add(root: Call, stack: Stack, count: int) -> None:
    root.count += count
    call = root
    for frame in stack:
        call = call.calls.setdefault(frame, Call(frame))
        call.count += count
    call.own += count


def _sorted(call: Call) -> list[Call]:
    return sorted(
        call.calls.values(), key=lambda c: (-c.count, c.frame.file, c.frame.line, c.frame.function)
    )


def _chain(call: Call) -> Iterator[Call]:
    """A call and those below it for as long as each makes only one, which has all of its samples."""
    yield call
    while len(call.calls) == 1:
        (call_below,) = call.calls.values()
        if call_below.count != call.count:
            return
        call = call_below
        yield call


def _rest(calls: Sequence[Call]) -> tuple[str]:
    named = list(dict.fromkeys(call.frame.function for call in calls))
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return (f"smaller calls: {', '.join(named[:3])}{more}",)


def _not_found(samples: Sequence[Sample], start: str) -> str:
    functions = {frame.function for stack, _ in tallies(samples) for frame in stack}
    wanted = start.rpartition(":")[2].rpartition(".")[2]
    if wanted in functions:
        files = {f.file for stack, _ in tallies(samples) for f in stack if f.function == wanted}
        where = ", ".join(f"{file.rpartition('/')[2]}:{wanted}" for file in sorted(files)[:3])
        return f"no sample has the function {start}; stacks know files and no classes: {where}"
    close = did_you_mean(wanted, functions) if functions else ""
    hint = close if "did you mean" in close else ""
    return f"none of the {len(samples):,} samples has a function {start}{hint}"
