"""A list of runs, one run, and runs side by side, printed on stdout.

A pipe gets full, aligned lines; a terminal gets what fits its width. Names are never truncated.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.text import Text

from qa_research.console import Screen, readable_size, styled
from qa_research.ledger.runs import DATA_SPLITS, RunEntry
from qa_research.runs.directory import no_weights, read_record
from qa_research.runs.family import origin_in
from qa_research.runs.forks import FORK, told_fork
from qa_research.runs.listing import DAMAGED, GONE, ListedRun
from qa_research.runs.places import data_name, weights_name
from qa_research.runs.store import KILLED, UNCLEAR, checkpoints_of, size_by_part
from qa_research.text import aligned, command_line

if TYPE_CHECKING:
    # It imports scipy, which a list of runs does not need.
    from qa_research.runs.compare import Differences, SideBySide
    from qa_research.stats import Interval

# So many digits distinguish one sha256 from another.
DIGITS = 12
_STYLES = {
    "finished": "green",
    "running": "cyan",
    "interrupted": "yellow",
    **dict.fromkeys((KILLED, "failed", DAMAGED), "red"),
    **dict.fromkeys((GONE, UNCLEAR), "dim"),
}
_MEANINGS = {
    KILLED: "run.json says running, but no process holds the run",
    UNCLEAR: "whether a process holds the run cannot be checked without write permission for .locks",
    GONE: "its directory no longer exists; `qa-research runs scan` drops it from the ledger",
    DAMAGED: "its run.json or config.yaml cannot be read; `qa-research runs scan` says why",
}


def show_list(runs: Sequence[tuple[ListedRun, int]], scores: Sequence[str]) -> None:
    """One line per run with the named scores; on a narrow terminal its name is on a line above.

    `runs`: each with its depth, which is more than 0 if the run that it is a fork of stands above it.
    """
    header = ["run", "status", "data", "weights", *scores, "steps", "started", "size"]
    rows = [
        [
            _in_tree(run.entry, depth),
            run.status,
            data_name(run.entry.config) or run.entry.data or "-",
            weights_name(run.entry.config) or "-",
            *(number(run.entry.scores.get(name)) for name in scores),
            "-" if run.entry.steps is None else str(run.entry.steps),
            local_time(run.entry.started),
            "-" if run.status == GONE else readable_size(run.size_bytes),
        ]
        for run, depth in runs
    ]
    right = {*range(4, 5 + len(scores)), len(header) - 1}
    console = Screen()
    if not rows:
        console.print("no runs yet")
        return
    lines = aligned_with_names(console, header, rows, right)
    start = max(len(row[0]) for row in [header, *rows]) + 2
    console.print(styled((lines[0], "dim")))
    for line, (run, _) in zip(lines[1:], runs, strict=True):
        text = Text(line)
        offset = line.index("\n") + 3 if "\n" in line else start
        text.stylize(_STYLES[run.status], offset, offset + len(run.status))
        console.print(text)
    for status in dict.fromkeys(run.status for run, _ in runs):
        if status in _MEANINGS:
            console.print(f"{status}: {_MEANINGS[status]}")
    total = readable_size(sum(run.size_bytes for run, _ in runs))
    console.print(f"{len(runs)} run{'' if len(runs) == 1 else 's'}, {total}")


def _in_tree(entry: RunEntry, depth: int) -> str:
    """A run's name; of a fork below its run, where it parts from it."""
    origin = origin_in(entry.config)
    at = f" (fork at step {origin['step']})" if origin else ""
    return f"{'   ' * (depth - 1)}└─ {entry.name}{at}" if depth else f"{entry.name}{at}"


def show_run(
    directory: Path,
    entry: RunEntry,
    status: str,
    next_command: str,
    intervals: Mapping[str, "Interval"],
) -> None:
    """Everything about one run; `next_command`: what to do with it next; `intervals` by score."""
    # The terminal wraps lines: a command that we had wrapped could not be copied.
    console = Screen()
    console.soft_wrap = True
    console.print(styled((entry.name, "bold")))
    for name, fact in _facts(directory, entry, status, next_command).items():
        if fact:
            console.print(styled((f"{name:<14}", "dim"), fact))
    _show_scores(console, entry, intervals)
    console.print(styled(("\nconfig", "bold")))
    text = yaml.safe_dump(entry.config, sort_keys=False, allow_unicode=True)
    console.print("\n".join(f"  {line}" for line in text.splitlines()))


def _facts(
    directory: Path, entry: RunEntry, status: str, next_command: str
) -> dict[str, str | None]:
    parts = size_by_part(directory)
    sizes = ", ".join(f"{name} {readable_size(size)}" for name, size in list(parts.items())[:6])
    counts = dict(entry.questions)
    chose = counts.pop("choosing", None)
    splits = " and ".join(
        f"{n:,} {split}" for split, n in counts.items() if n and split in DATA_SPLITS
    )
    examples = entry.config["task"]["examples"]
    if chose is not None:
        examples += f", {chose:,} of which choose the best weights"
    changes = ", with uncommitted changes" if entry.git_modified else ""
    return {
        "status": f"{status}: {_MEANINGS[status]}" if status in _MEANINGS else status,
        "fork": _fork(directory),
        "error": entry.error,
        "next": next_command,
        "where": str(directory),
        "size": f"{readable_size(sum(parts.values()))}: {sizes}",
        "checkpoints": ", ".join(checkpoints_of(directory)) or no_weights(directory) or "none yet",
        "started": local_time(entry.started),
        "finished": local_time(entry.finished) if entry.finished else None,
        "steps": None if entry.steps is None else f"{entry.steps}, best at {entry.best_step}",
        "time": _durations(entry),
        "finetuning": _strategy(entry.config.get("finetuning")),
        "seed": None if entry.seed is None else str(entry.seed),
        "data": f"{entry.data}, {splits} {examples}" if splits else entry.data,
        "fingerprints": ", ".join(f"{k} {v[:DIGITS]}" for k, v in entry.fingerprints.items()),
        "commit": f"{entry.git_commit}{changes}" if entry.git_commit else "unknown",
        "versions": ", ".join(f"{name} {version}" for name, version in entry.versions.items()),
        "command": command_line(*entry.command),
        "id": entry.id,
    }


def _fork(directory: Path) -> str | None:
    """Of which run and step a run is a fork, and what was changed; None: it is none."""
    fork = (read_record(directory) or {}).get(FORK)
    return told_fork(fork) if fork else None


def _strategy(section: Mapping[str, Any] | None) -> str | None:
    """A strategy of finetuning in a few words, such as `TopK, layers=2`; None: everything trains."""
    if not section:
        return None
    name = str(section.get("_target_")).rpartition(".")[2]
    keys = (f"{key}={value}" for key, value in section.items() if key != "_target_")
    return ", ".join((name, *keys))


def _show_scores(console: Screen, entry: RunEntry, intervals: Mapping[str, "Interval"]) -> None:
    from qa_research.stats import dependence

    console.print(styled(("\nscores of the best checkpoint", "bold")))
    rows = [
        [f"  {name}", number(value), _ends(intervals.get(name))]
        for name, value in _fresh_first(entry.scores)
    ]
    for line in aligned(rows, {1}) or ["  none yet"]:
        console.print(line)
    wider = {name: found.wider for name, found in intervals.items()}
    if sentence := dependence(wider, entry.config["task"]["examples"]):
        console.print(f"  {sentence}.")


def _ends(interval: "Interval | None") -> str:
    return f"[{number(interval.low)}, {number(interval.high)}]" if interval else ""


def aligned_with_names(
    console: Screen, header: Sequence[str], rows: Sequence[Sequence[str]], right: set[int]
) -> list[str]:
    """The header and the rows as aligned lines; on a terminal that is too narrow, names are on lines above.

    Wrapped within a column a name could not be copied.
    """
    lines = aligned([header, *rows], right)
    if console.is_terminal and max(map(len, lines)) > console.width:
        lines = aligned([["", *header[1:]], *(["", *row[1:]] for row in rows)], right)
        lines[1:] = [f"{row[0]}\n{line}" for row, line in zip(rows, lines[1:], strict=True)]
    return lines


def number(value: float | None) -> str:
    """A score with two decimals, or three below 1, as correlations are; a dash if there is none."""
    if value is None:
        return "-"
    return f"{value:.3f}" if 0 < abs(value) < 1 else f"{value:.2f}"


def local_time(moment: str | None) -> str:
    """An ISO time as local time, to the minute; a dash if there is none."""
    if moment is None:
        return "-"
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")


def _durations(entry: RunEntry) -> str | None:
    seconds = {"training": entry.train_s, "validation": entry.validation_s}
    return ", ".join(f"{s:.0f} s {what}" for what, s in seconds.items() if s is not None) or None


def show_pairs(found: "SideBySide") -> None:
    """The letter of each run, what differs, the scores, and a verdict on each run against the first."""
    from qa_research.runs.compare import ABSENT

    console = Screen()
    for label, entry, status in zip(found.labels, found.entries, found.statuses, strict=True):
        console.print(f"{label}  {entry.name}   ({status})")
    for label, step in zip(found.labels[1:], found.parting_steps, strict=True):
        if step is not None:
            console.print(f"{found.labels[0]} and {label} are one training until step {step}")
    if found.config:
        _show_table("what differs in the config", found.labels, _cells(found.config))
    else:
        console.print("\nnothing that can change a result differs in the config")
    if found.making:
        making = {
            key: [
                value[:DIGITS] if _is_digest(key) and isinstance(value, str) else value
                for value in values
            ]
            for key, values in found.making.items()
        }
        _show_table("what else differs", found.labels, _cells(making))
    if found.without_effect:
        console.print(f"\nwithout effect on a result: {', '.join(found.without_effect)}")
    scores = [
        [name, *(number(None if value is ABSENT else value) for value in values)]
        for name, values in _fresh_first(found.scores)
    ]
    _show_table("scores of the best checkpoints", found.labels, scores, flush_right=True)
    console.print(styled(("\nwhich is better", "bold")))
    for pair in found.pairs:
        console.print(f"{pair.verdict}\n")
    if any(pair.comparison for pair in found.pairs):
        console.print(
            "[..]: 95 % interval over the validation split; p: how often two equally good runs differ this "
            "much by chance. Both are about these trainings only: another seed may differ more.",
            style="dim",
        )


def _fresh_first(scores: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Scores by name: those of examples that chose nothing before those of the ones that chose."""
    return sorted(scores.items(), key=lambda item: item[0].startswith("choosing/"))


def plain(value: Any) -> str:
    """A config's value as a person would write it."""
    from qa_research.runs.compare import ABSENT

    if isinstance(value, str) or value is ABSENT:
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _cells(differences: "Differences") -> list[list[str]]:
    return [[key, *map(plain, values)] for key, values in differences.items()]


def _is_digest(key: str) -> bool:
    return key == "git.commit" or key.startswith("fingerprints.")


def _show_table(
    title: str, labels: Sequence[str], rows: Sequence[Sequence[str]], flush_right: bool = False
) -> None:
    """A table whose first column names each row; a terminal wraps what is too long."""
    console = Screen()
    console.print(styled((f"\n{title}", "bold")))
    right = range(1, len(labels) + 1) if flush_right else ()
    console.table(["", *labels], rows, right)
