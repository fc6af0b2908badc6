"""Are wrong answers of the training data hard to learn? python benchmarks/planted_answers.py

Of the answers 2 % are replaced: half by other words of the context, half by the answer to another question
about it. A network is trained on all, and `qa-research data-map RUN --marked FILE` says how well its measures
find the replaced ones, beside what knows nothing of the training.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from qa_research.files import parse_json, write_text
from qa_research.interventions.data_map.finding import auc_of
from qa_research.streams import stream
from qa_research.tasks.answering.corpus import generate
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.squad import read_questions, squad_json
from qa_research.text import aligned, json_text, print_line

WORD = re.compile(r"\S+")
STUDY = "planted_answers"


def elsewhere(row: Question, rng: np.random.Generator) -> Question | None:
    """The question with as many words from another place of its context as its answer; None: no room."""
    (gold, *_) = row.answers
    words = [match.span() for match in WORD.finditer(row.context)]
    count = len(WORD.findall(gold.text))
    end = gold.start + len(gold.text)
    places = [
        (words[i][0], words[i + count - 1][1])
        for i in range(len(words) - count + 1)
        if words[i + count - 1][1] <= gold.start or words[i][0] >= end
    ]
    if not places:
        return None
    first, last = places[int(rng.integers(len(places)))]
    return replace(row, answers=(Gold(row.context[first:last], first),))


def another(row: Question, others: Sequence[Question], rng: np.random.Generator) -> Question | None:
    """The question with the answer to another one about its context, which a person may confuse."""
    known = {gold.text for gold in row.answers}
    places = [one.answers[0] for one in others if one.answers[0].text not in known]
    return replace(row, answers=(places[int(rng.integers(len(places)))],)) if places else None


def spoiled(
    rows: Sequence[Question], share: float, seed: int
) -> tuple[list[Question], dict[str, list[str]]]:
    """The questions, of which a share has a wrong answer, and the ids of those by how they were spoiled."""
    rng = stream(seed, "planted-answers")
    by_context: dict[str, list[Question]] = {}
    for row in rows:
        by_context.setdefault(row.context, []).append(row)
    found = list(rows)
    ids: dict[str, list[str]] = {"elsewhere": [], "another": []}
    wanted = round(share * len(rows))
    for place in rng.permutation(len(rows)).tolist():
        way = min(ids, key=lambda name: len(ids[name]))
        row = rows[place]
        changed = (
            elsewhere(row, rng)
            if way == "elsewhere"
            else another(row, by_context[row.context], rng)
        )
        if changed is not None:
            found[place] = changed
            ids[way].append(row.id)
        if sum(map(len, ids.values())) == wanted:
            return found, ids
    raise ValueError(f"only {sum(map(len, ids.values()))} of {wanted} answers can be replaced")


def planted(squad: Path | None, seed: int) -> tuple[list[Question], list[Question]]:
    """Questions to train on, and to validate on: the built-in ones, or those of a file in whole contexts."""
    if squad is None:
        corpus = generate(0)
        return corpus.train, corpus.validation
    rows = read_questions(str(squad), "--squad", "utf-8", "--squad")
    contexts = list(dict.fromkeys(row.context for row in rows))
    order = stream(seed, "planted-validation").permutation(len(contexts))
    kept = {contexts[place] for place in order[: len(contexts) // 5]}
    return (
        [row for row in rows if row.context not in kept],
        [row for row in rows if row.context in kept],
    )


def plant(folder: Path, options: argparse.Namespace) -> dict[str, list[str]]:
    """Write the questions, and the ids that are measured; the ids of replaced answers, by how."""
    train, validation = planted(options.squad, options.seed)
    # In their order, so that a question has others about its context to be confused with.
    rows, ids = spoiled(train[: options.questions], options.share, options.seed)
    files = {"train.json": rows, "validation.json": validation[: options.questions // 10]}
    for name, some in files.items():
        write_text(folder / name, json_text(squad_json(some, "1.1")))
    wrong = [one for own in ids.values() for one in own]
    others = [row.id for row in rows if row.id not in set(wrong)]
    order = stream(options.seed, "planted-measured").permutation(len(others))
    some_others = [others[place] for place in order[: options.measured]]
    for name, own in {"spoiled.txt": wrong, "measured.txt": [*wrong, *some_others]}.items():
        write_text(folder / name, "".join(f"{one}\n" for one in own))
    return ids


def qa_research(*words: str) -> str:
    """Run a verb in a process of its own; what it printed."""
    code = "import sys; from qa_research.cli.main import main; sys.argv[0] = 'qa-research'; main()"
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def train(folder: Path, overrides: Sequence[str]) -> Path:
    """The directory of the run that was trained on the files."""
    qa_research(
        *("train", f"study={STUDY}", "capture=none", "data=squad_file"),
        *(f"data.{split}_path={folder / split}.json" for split in ("train", "validation")),
        *(f"paths.runs={folder / 'runs'}", *overrides),
    )
    (found,) = (folder / "runs" / STUDY).iterdir()
    return found


def main() -> None:
    """Plant, train, measure, and print how well each measure finds the replaced answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a new one, for the files and the run")
    parser.add_argument("--squad", type=Path, help="a file of SQuAD's kind instead of the built-in")
    parser.add_argument("--questions", type=int, default=3000, help="to train on")
    parser.add_argument("--measured", type=int, default=1140, help="others beside the replaced")
    parser.add_argument("--share", type=float, default=0.02, help="of the answers is replaced")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the training")
    # Overrides may stand after options, which `parse_args` would not take.
    options = parser.parse_intermixed_args()
    folder: Path = options.folder
    folder.mkdir(parents=True)
    ids = plant(folder, options)
    run = train(folder, [f"seed={options.seed}", *options.overrides])
    files = ("--questions", str(folder / "measured.txt"), "--marked", str(folder / "spoiled.txt"))
    told = parse_json(
        qa_research("data-map", str(run), *files, "--max-minutes", "600", "--json"), "data-map"
    )
    show(told, ids)


def show(told: Mapping[str, Any], ids: Mapping[str, Sequence[str]]) -> None:
    """The table of all replaced answers, and the area of low confidence for each way of replacing."""
    rows = [["found by", "AUC", "95 % interval"]]
    for one in told["found"]:
        area = one["auc"]
        rows.append(
            [one["measure"], f"{area['value']:.3f}", f"{area['low']:.3f} to {area['high']:.3f}"]
        )
    wrong = {one for own in ids.values() for one in own}
    for way, own in ids.items():
        some = [one for one in told["placed"] if one["id"] in own or one["id"] not in wrong]
        doubt = np.array([-one["confidence"] for one in some])
        # Without the contexts, so that each question counts as independent.
        area = auc_of(doubt, np.array([one["id"] in own for one in some]), np.arange(len(some)))
        name = f"low confidence, {way} ({len(own)})"
        rows.append([name, f"{area.value:.3f}", f"{area.low:.3f} to {area.high:.3f}"])
    print_line("\n".join(aligned(rows, {1})))


if __name__ == "__main__":
    main()
