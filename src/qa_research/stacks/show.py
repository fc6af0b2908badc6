"""What the views of sampled stacks print: a tree, what a search found, two trainings compared; or as JSON."""

from dataclasses import asdict
from typing import Any

from qa_research.console import Screen, styled
from qa_research.ledger.stacks import Frame
from qa_research.stacks.choosing import Chosen
from qa_research.stacks.comparing import Change, StacksCompared, Stepping, points
from qa_research.stacks.searching import Found
from qa_research.stacks.tree import CallTree, TreeLine, tree_json, tree_lines
from qa_research.stats import Difference, Ratio
from qa_research.text import plural

# Lines of code that a table has room for.
MOST_LINES = 12


def interval(share: Ratio) -> str:
    """A share with its 95 % interval in percent: `12.3 [10.9, 13.8]`."""
    return f"{100 * share.value:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def place_of(frame: Frame) -> str:
    """Where a line stands, by its file's folder and name: `nn/functional.py:1400`."""
    file = "/".join(frame.file.split("/")[-2:])
    return f"{file}:{frame.line}" if frame.line else file


def show_tree(
    tree: CallTree, chosen: Chosen, depth: int | None, smallest: float, is_whole: bool
) -> None:
    """Print the tree, a line for each call or chain of calls; a terminal cuts lines at its edge."""
    screen = Screen()
    screen.print(
        styled(
            f"{chosen.name}: {tree.start} is in {tree.share.right:,} of {tree.share.asked:,} samples, ",
            f"{interval(tree.share)} % of the time. Its share is 100 %:",
        )
    )
    screen.print()
    for line in tree_lines(tree, depth, smallest, is_whole):
        if screen.is_terminal:
            screen.print(_tree_line(line), no_wrap=True, overflow="ellipsis", crop=True)
        else:
            screen.print(_tree_line(line))
    if len(tree.files) > 1:
        screen.print()
        screen.print(
            styled(f"Several files have a function {tree.start}: {', '.join(tree.files)}. ")
            + styled("--from FILE:NAME chooses one.")
        )
    if tree.cut:
        screen.print()
        screen.print(
            f"Not in the tree: {plural(tree.cut, 'sample')} whose outermost frames are missing."
        )
    _print_caveats(screen, chosen)


def _tree_line(line: TreeLine) -> Any:
    share = f"{line.share:6.1%}  "
    if line.frame is None:
        return styled(share, (line.branch, "dim"), (line.chain, "dim"), lines=False)
    return styled(
        share,
        (line.branch, "dim"),
        (line.chain, "bold"),
        f"  {place_of(line.frame)}  ",
        (line.frame.text, "dim"),
        lines=False,
    )


def tree_as_json(tree: CallTree, chosen: Chosen) -> dict[str, Any]:
    """The whole tree as plain values."""
    return {
        **about(chosen),
        "from": tree.start,
        "files": list(tree.files),
        "share": ratio_as_json(tree.share),
        "cut_samples": tree.cut,
        "calls": tree_json(tree.calls, tree.share.right),
    }


def show_found(found: Found, chosen: Chosen) -> None:
    """Print what a search found: the share, the phases, the lines and who calls them."""
    screen = Screen()
    share = found.share
    screen.print(
        styled(
            f"{chosen.name}: {found.text!r} is in {share.right:,} of {share.asked:,} samples: ",
            f"{interval(share)} % of the time.",
        )
    )
    if found.in_others:
        screen.print(f"Only another thread has it in {plural(found.in_others, 'more sample')}.")
    if not found.lines:
        _print_caveats(screen, chosen)
        return
    phases = ", ".join(f"{share.phase} {_rounded(share.value)}" for share in found.phases)
    screen.print(styled(f"In the phases: {phases}"))
    screen.print()
    rows = []
    for line in found.lines[:MOST_LINES]:
        callers = ", ".join(
            f"{frame.function} {place_of(frame)} ({count / line.share.right:.0%})"
            for frame, count in line.callers
        )
        text = line.frame.text or line.frame.function
        rows.append((interval(line.share), place_of(line.frame), text, callers or "-"))
    screen.table(("% of time [95 %]", "line", "code", "called by"), rows, whole=(0,))
    _print_more(screen, len(found.lines))
    _print_caveats(screen, chosen)


def found_as_json(found: Found, chosen: Chosen) -> dict[str, Any]:
    """What a search found as plain values."""
    return {
        **about(chosen),
        "text": found.text,
        "share": ratio_as_json(found.share),
        "samples_of_other_threads_only": found.in_others,
        "phases": [asdict(share) for share in found.phases],
        "lines": [
            {
                **asdict(line.frame),
                "share": ratio_as_json(line.share),
                "callers": [asdict(frame) | {"samples": count} for frame, count in line.callers],
            }
            for line in found.lines
        ],
    }


def show_compared(compared: StacksCompared) -> None:
    """Print the verdict, the phases, the lines that changed, and what could not be compared."""
    screen = Screen()
    screen.print(styled(compared.verdict))
    screen.print()
    for letter, name, count, stepping in zip(
        "AB", compared.names, compared.samples, compared.stepping, strict=True
    ):
        speed = "" if stepping is None else f", {_seconds(stepping.seconds)} s a step"
        screen.print(styled(f"{letter}  {name}: {plural(count, 'sample')}{speed}"))
    header = (
        "A, %",
        "B, %",
        "B - A, points [95 %]",
        "p (Holm)",
        "s a step, A",
        "B",
        "B - A [95 %]",
    )
    is_timed = None not in compared.stepping
    columns = len(header) if is_timed else 4
    right = range(1, columns + 1)
    if compared.phases:
        screen.print()
        rows = [(name, *_cells(change)[:columns]) for name, change in compared.phases]
        dim = [i for i, (_, change) in enumerate(compared.phases) if not change.is_significant]
        screen.table(("phase", *header[:columns]), rows, right, dim)
    screen.print()
    changed = [line for line in compared.lines if line.change.is_significant]
    tested = plural(len(compared.lines), "line")
    if not changed:
        screen.print(
            f"Of {tested} of code that were tested, none has a share that differs for sure."
        )
    else:
        rows = [
            (
                f"{line.frame.function}  {place_of(line.frame)}{_around(line.around)}",
                *_cells(line.change)[:columns],
            )
            for line in changed[:MOST_LINES]
        ]
        title = f"{len(changed)} of {tested} differ"
        screen.table((title, *header[:columns]), rows, right)
        _print_more(screen, len(changed))
    for note in compared.notes:
        screen.print()
        screen.print(styled(note))


def compared_as_json(compared: StacksCompared) -> dict[str, Any]:
    """A comparison as plain values; shares in [0, 1], times in seconds."""
    return {
        "verdict": compared.verdict,
        "names": list(compared.names),
        "samples": list(compared.samples),
        "stepping": [_stepping_as_json(found) for found in compared.stepping],
        "phases": [{"phase": name, **_change_as_json(change)} for name, change in compared.phases],
        "lines": [
            {**asdict(line.frame), "around": line.around, **_change_as_json(line.change)}
            for line in compared.lines
        ],
        "notes": list(compared.notes),
    }


def about(chosen: Chosen) -> dict[str, Any]:
    """Which recordings a view is of, as plain values."""
    return {
        "run": chosen.name,
        "recordings": list(chosen.numbers),
        "ranks": list(chosen.ranks),
        "samples": len(chosen.samples),
        "caveats": list(chosen.caveats),
    }


def ratio_as_json(share: Ratio) -> dict[str, Any]:
    """A share with its interval and what it was counted of, as plain values."""
    return {
        "samples": share.right,
        "of": share.asked,
        "value": share.value,
        "low": share.low,
        "high": share.high,
    }


def _cells(change: Change) -> list[str]:
    cells = [
        f"{100 * change.first.value:.1f}",
        f"{100 * change.second.value:.1f}",
        points(change.change),
        f"{change.p:.3f}" if change.p >= 0.001 else "< 0.001",
    ]
    if change.seconds is not None and change.seconds_change is not None:
        cells += [*map(_seconds, change.seconds), _seconds_change(change.seconds_change)]
    else:
        cells += ["-"] * 3
    return cells


def _rounded(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "< 1%"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"


def _seconds_change(change: Difference) -> str:
    return f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"


def _around(lines: int) -> str:
    return f" and {plural(lines, 'line')} around it" if lines else ""


def _print_caveats(screen: Screen, chosen: Chosen) -> None:
    for caveat in chosen.caveats:
        screen.print()
        screen.print(styled(caveat))


def _print_more(screen: Screen, count: int) -> None:
    if count > MOST_LINES:
        screen.print(f"and {plural(count - MOST_LINES, 'more line')}; --json has them all")


def _change_as_json(change: Change) -> dict[str, Any]:
    return {
        "first": ratio_as_json(change.first),
        "second": ratio_as_json(change.second),
        "change": asdict(change.change),
        "p": change.p,
        "seconds": None if change.seconds is None else list(change.seconds),
        "seconds_change": None if change.seconds_change is None else asdict(change.seconds_change),
    }


def _stepping_as_json(found: Stepping | None) -> dict[str, Any] | None:
    return None if found is None else {"seconds": found.seconds, "steps": found.steps}
