"""Is a fact that three training questions state not learned without them, and which method names the three?
python benchmarks/planted_influence.py FOLDER [--random N]

Trains three seeds of a small network on the data of tests/interventions/influence/test_planted.py, then runs
`qa-research what-if --without` with random sets of three, and `qa-research influence`; prints a row a seed.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from qa_research.cli.verbs import run as run_verb
from qa_research.files import parse_json, read_text
from qa_research.text import aligned, print_line
from tests.interventions.influence.test_planted import (
    TRAINED,
    VALIDATION,
    WHY,
    made_files,
    named,
)

SEEDS = (1, 2, 3)
HEADER = ("seed", "as it was", "without", "random", "as far")


def found_by(directory: Path, verb: str, *words: object) -> dict[str, Any]:
    """What a verb found about a run; it prints to the screen, too."""
    file = verb.replace("-", "_")
    out = directory / f"planted_{file}"
    if run_verb([verb, *map(str, (directory, *words, "--out", out))]):
        raise SystemExit(f"qa-research {verb} failed")
    found: dict[str, Any] = parse_json(read_text(out / f"{file}.json", file), file)
    return found


def ranks_of(found: dict[str, Any]) -> dict[str, list[float]]:
    """By method the median ranks of the three, for the questions about the fact; 1 is the highest score."""
    places = [found["example_ids"].index(one) for one in named()]
    about = np.array([one["text"] == WHY for one in found["questions"]])
    ranks = {}
    for method, scores in found["scores"].items():
        order = (-np.array(scores)).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
        ranks[method] = np.median(np.sort(order[about][:, places] + 1, axis=1), axis=0).tolist()
    return ranks


def main() -> int:
    """Train, ask both verbs, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--random", type=int, default=20)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    words = made_files(given.folder)
    rows, header = [], [*HEADER]
    for seed in SEEDS:
        trained = [word for word in TRAINED if not word.startswith("seed=")]
        if run_verb(["train", *words, *trained, f"seed={seed}", f"study=s{seed}"]):
            raise SystemExit("the training failed")
        (record,) = (given.folder / "runs" / f"s{seed}").glob("*/run.json")
        directory = record.parent
        steps = ("--at", 100, "--to", 900, "--every", 400, "--kind", "why", "--seed", seed)
        asked = (
            "--random",
            given.random,
            "--questions",
            VALIDATION,
            "--without",
            ",".join(named()),
        )
        effects = found_by(directory, "what-if", *steps, *asked)["effects"]["all"]
        last = effects[-1]
        chosen = ("--questions", VALIDATION, "--examples", "all", "--steps", "150,450,750")
        ranks = ranks_of(found_by(directory, "influence", *chosen))
        header = [*HEADER, *ranks]
        rows.append(
            [
                str(seed),
                f"{last['as_it_was']:.1f}",
                f"{last['changed']:.1f}",
                f"{min(last['random']):.1f} to {max(last['random']):.1f}",
                f"{last['as_far']} of {len(last['random'])}",
                *(", ".join(f"{rank:g}" for rank in own) for own in ranks.values()),
            ]
        )
    for line in aligned([header, *rows]):
        print_line(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
