"""How long it takes to search as many questions as SQuAD has: python benchmarks/search_speed.py.

98,169 questions about 20,958 contexts, combined from the built-in generator's notices, in one JSON file.
Every search is a process of its own that finds the catalogue in the cache: `open` is opening it, `search`
finding all indices, `command` the whole `qa-research squad search`. The peer reads the file and looks
through it, as one must without a catalogue. Files are in the system's page cache.
"""

import argparse
import json
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from qa_research.browse.catalogue import PLACES, Catalogue, fold
from qa_research.console import readable_size
from qa_research.tasks.answering.corpus import QUESTIONS_PER_NOTICE, generate
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.source import find_source
from qa_research.tasks.answering.squad import read_questions, squad_json

# SQuAD v1.1, both splits; its contexts have 735 characters on average.
QUESTIONS = 98_169
CONTEXTS = 20_958
CHARACTERS = 735
TEXTS = {
    "frequent": "group",
    "usual": "The Barn",
    "rare": "group q costs 62 crowns",
    "absent": "Daylight Saving",
}
ROUNDS = 7


def main() -> None:
    """Make the questions, search them in fresh processes, and print the times."""
    arguments = _arguments()
    if arguments.worker:
        wanted, place = arguments.worker
        print(json.dumps(_timed_search(arguments.file, arguments.cache, wanted, place or None)))
        return
    with tempfile.TemporaryDirectory(prefix="search_speed_") as folder:
        file, cache = Path(folder, "questions.json"), Path(folder, "cache")
        print("making the questions ...", file=sys.stderr)
        _write_questions(file)
        report = _measure(file, cache, arguments.rounds)
    print(json.dumps(report, indent=2) if arguments.json else _render(report))


def combined_questions() -> Iterator[Question]:
    """The questions: about each context those of the notices it is made of."""
    notices = _notices()
    # The last notice exceeds the target; this margin, found by trying, gives the right average.
    enough = CHARACTERS - 127
    for number in range(CONTEXTS):
        wanted = QUESTIONS * (number + 1) // CONTEXTS - QUESTIONS * number // CONTEXTS
        context, asked = "", list[tuple[Question, int]]()
        while len(context) < enough or len(asked) < wanted:
            rows = next(notices)
            context += " " if context else ""
            asked += [(row, len(context)) for row in rows]
            context += rows[0].context
        for i, (row, shift) in enumerate(asked[:wanted]):
            gold = Gold(row.answers[0].text, row.answers[0].start + shift)
            title, identity = f"Notices {number // 40}", f"{number:08x}{i:016x}"
            yield Question(identity, title, context, row.question, (gold,), row.kind)


def _notices() -> Iterator[list[Question]]:
    for seed in count():
        rows = generate(seed).train
        for i in range(0, len(rows), QUESTIONS_PER_NOTICE):
            yield rows[i : i + QUESTIONS_PER_NOTICE]


def _write_questions(file: Path) -> None:
    rows = list(combined_questions())
    file.write_text(json.dumps(squad_json(rows, "1.1")), encoding="utf-8")


def _measure(file: Path, cache: Path, rounds: int) -> dict[str, Any]:
    begin = time.perf_counter()
    with Catalogue(find_source(str(file), None), cache) as catalogue:
        first_s = time.perf_counter() - begin
        size_bytes = catalogue.path.stat().st_size
        rows = catalogue.all()
    contexts = {row.context for row in rows}
    report: dict[str, Any] = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "questions": len(rows),
        "contexts": len(contexts),
        "characters_of_a_context": sum(map(len, contexts)) / len(contexts),
        "words_of_a_context": sum(len(text.split()) for text in contexts) / len(contexts),
        "file_bytes": file.stat().st_size,
        "catalogue_bytes": size_bytes,
        "first_s": first_s,
        "peer_s": [_peer(file, "Daylight Saving") for _ in range(3)],
        "searches": [],
    }
    for name, wanted in TEXTS.items():
        for place in (None, *PLACES):
            found = [_in_a_process(file, cache, wanted, place) for _ in range(rounds)]
            commands = [_command(file, cache, wanted, place) for _ in range(rounds)]
            row = {"text": name, "wanted": wanted, "in": place or "all", "hits": found[0]["hits"]}
            row["search_s"] = [each["search_s"] for each in found]
            row["open_s"] = [each["open_s"] for each in found]
            report["searches"].append(row | {"command_s": commands})
            print(f"{name} in {place or 'all'}", file=sys.stderr)
    return report


def _timed_search(file: Path, cache: Path, wanted: str, place: str | None) -> dict[str, float]:
    begin = time.perf_counter()
    with Catalogue(find_source(str(file), None), cache) as catalogue:
        opened = time.perf_counter()
        hits = len(catalogue.search(wanted, place))
        done = time.perf_counter()
    return {"hits": hits, "open_s": opened - begin, "search_s": done - opened}


def _peer(file: Path, wanted: str) -> float:
    begin = time.perf_counter()
    folded = fold(wanted)
    for row in read_questions(file, "FILE"):
        texts = (row.question, row.context, *(gold.text for gold in row.answers))
        any(folded in fold(text) for text in texts)
    return time.perf_counter() - begin


def _in_a_process(file: Path, cache: Path, wanted: str, place: str | None) -> dict[str, float]:
    command = [sys.executable, __file__, "--file", str(file), "--cache", str(cache)]
    done = _run([*command, "--worker", wanted, place or ""])
    found: dict[str, float] = json.loads(done)
    return found


def _command(file: Path, cache: Path, wanted: str, place: str | None) -> float:
    command = [str(Path(sys.executable).with_name("qa-research")), "squad", "search", wanted]
    command += ["--data", str(file), "--cache", str(cache), *(["--in", place] if place else [])]
    begin = time.perf_counter()
    _run(command)
    return time.perf_counter() - begin


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def _render(report: dict[str, Any]) -> str:
    facts = (
        f"{report['questions']:,} questions, {report['contexts']:,} contexts of "
        f"{report['characters_of_a_context']:.0f} characters and "
        f"{report['words_of_a_context']:.0f} words; Python {report['python']}, SQLite "
        f"{report['sqlite']}\nfile {readable_size(report['file_bytes'])}, catalogue "
        f"{readable_size(report['catalogue_bytes'])}\n"
        f"first opening (reads the file, writes the catalogue): {report['first_s']:.2f} s; reading "
        f"the file and looking through it: {_seconds(report['peer_s'])}"
    )
    lines = [facts, f"{'':<10}{'in':<10}{'hits':>7}{'open':>22}{'search':>22}{'command':>22}"]
    for row in report["searches"]:
        times = "".join(f"{_seconds(row[f'{key}_s']):>22}" for key in ("open", "search", "command"))
        lines.append(f"{row['text']:<10}{row['in']:<10}{row['hits']:>7}{times}")
    slowest = max(max(row["search_s"]) for row in report["searches"])
    in_all = [t for row in report["searches"] if row["in"] == "all" for t in row["search_s"]]
    ratio = statistics.median(report["peer_s"]) / statistics.median(in_all)
    lines.append(
        f"median [lowest, highest] of {len(report['searches'][0]['search_s'])} processes each; the "
        f"slowest search took {slowest:.3f} s; the median one in all is {ratio:.0f} times as fast as "
        "the peer"
    )
    return "\n".join(lines)


def _seconds(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} [{min(values):.3f}, {max(values):.3f}]"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
