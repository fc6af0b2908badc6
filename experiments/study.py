"""The studies of this folder: python experiments/study.py check|measure|run [STUDY...] [--runs RUNS]

A study is a folder with
  README.md      the question, the commands, what came out, the verdict, what would show it to be wrong
  commands.sh    the commands, as the README shows them
  measure.py     measure(runs): what the runs gave, as plain values; draw(measured, runs): the figures
  measured.json  what measure() gave for the runs that the README speaks of
  claims.py      claims(measured, says): the README's passages with numbers, made from measured.json

`check` compares: every passage must stand in the README, and every number of the README in a passage.
With --runs it first measures the runs again and compares that with measured.json, too. `measure` writes
measured.json and the figures. `run` runs the commands, which takes as long as the README says.
"""

import argparse
import importlib.util
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from qa_research.runs.directory import read_record
from qa_research.text import plural

HERE = Path(__file__).parent
# So that a study's measure.py imports this file as experiments.study.
sys.path.insert(0, str(HERE.parent))
PARTS = ("README.md", "commands.sh", "measure.py", "measured.json", "claims.py")
# Not a part of a name (F1, v1.1, BERT-4); with thousands (1,276), decimals (0.25) or an exponent (3e-4).
NUMBER = re.compile(r"(?<![\w.])(?<![A-Za-z]-)\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?")
# Text whose numbers claim nothing: commands and keys, addresses, the targets of links.
WITHOUT_CLAIMS = re.compile(r"```.*?```|`[^`\n]*`|\]\([^)]*\)|<[^>\n]*>", re.DOTALL)
WRONG = "## What would show this to be wrong"
# Runs are read again on the machine that recorded them: only the last digits of a sum may differ.
TOLERANCE = 1e-9


class Passages:
    """The passages of a README that have numbers: a study's claims.py calls this object for each."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, template: str, *values: Any) -> None:
        """A passage: a format string without any number of its own, and the measured values in it.

        Raises:
            ValueError: the template has a number, which nothing would check.
        """
        literal = re.sub(r"{[^}]*}", "", template)
        if written := NUMBER.findall(WITHOUT_CLAIMS.sub(" ", literal)):
            raise ValueError(f"{written[0]} is written into {template!r}, and so claims nothing")
        self.texts.append(template.format(*values))

    def cited(self, text: str, source: str) -> None:
        """A passage with somebody else's numbers; the README names the source, too."""
        self.texts.extend([text, source])

    def defined(self, text: str) -> None:
        """A passage whose numbers are chosen, such as a level of confidence or a size of the plan."""
        self.texts.append(text)


def faults(readme: str, passages: list[str]) -> Iterator[str]:
    """What is wrong with a README: passages that it does not have, numbers that no passage has.

    Line breaks count as blanks.
    """
    text = one_line(readme)
    claimless = WITHOUT_CLAIMS.sub(lambda found: " " * len(found[0]), text)
    covered = bytearray(len(text))
    for passage in map(one_line, passages):
        places = [found.start() for found in re.finditer(re.escape(passage), text)]
        if not places:
            yield f"the README does not say: {passage}"
        for start in places:
            covered[start : start + len(passage)] = b"\1" * len(passage)
    for number in NUMBER.finditer(claimless):
        if not all(covered[number.start() : number.end()]):
            around = text[max(0, number.start() - 60) : number.end() + 40]
            yield f"nothing makes {number[0]} again: ... {around} ..."


def one_line(text: str) -> str:
    """The text with every run of blanks and line breaks as one blank."""
    return re.sub(r"\s+", " ", text).strip()


def check(study: Path, runs: Path | None) -> Iterator[str]:
    """What is wrong with a study; nothing if all its numbers follow from what was measured."""
    if missing := [part for part in PARTS if not (study / part).exists()]:
        yield f"has no {', '.join(missing)}"
        return
    measured = json.loads((study / "measured.json").read_text())
    if runs is not None:
        again = json.loads(json.dumps(module(study, "measure").measure(runs)))
        yield from differences(measured, again)
    readme = (study / "README.md").read_text()
    if (study / "commands.sh").read_text().strip() not in readme:
        yield "the README shows other commands than commands.sh has"
    if WRONG not in readme:
        yield f"the README has no section {WRONG[3:]!r}"
    passages = Passages()
    module(study, "claims").claims(measured, passages)
    yield from faults(readme, passages.texts)


def differences(kept: Any, again: Any, place: str = "measured.json") -> Iterator[str]:
    """Where two nested values differ, numbers by more than rounding."""
    if isinstance(kept, dict) and isinstance(again, dict):
        for key in sorted(kept.keys() | again.keys()):
            yield from differences(kept.get(key), again.get(key), f"{place}: {key}")
    elif isinstance(kept, list) and isinstance(again, list) and len(kept) == len(again):
        for number, (one, other) in enumerate(zip(kept, again, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif isinstance(kept, float) and isinstance(again, float):
        if not math.isclose(kept, again, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            yield f"{place} is {kept}, and the runs give {again}"
    elif kept != again:
        yield f"{place} is {kept!r}, and the runs give {again!r}"


def write_measured(study: Path, runs: Path) -> None:
    """Measure a study's runs; write measured.json and the figures."""
    found = module(study, "measure")
    measured = json.loads(json.dumps(found.measure(runs)))
    figures = found.draw(measured, runs)
    (study / "measured.json").write_text(json.dumps(measured, indent=1) + "\n")
    for name, figure in figures.items():
        figure.savefig(study / name, dpi=160)
        print(study / name)


def origin(run: Path) -> dict[str, Any]:
    """How a run was made: its commit, versions, machine, data and weights."""
    record = read_record(run)
    return {
        "run": run.name,
        "commit": record["git"]["commit"],
        "versions": {name: record["versions"][name] for name in ("python", "torch")},
        "machine": record["machine"],
        "fingerprints": record["fingerprints"],
    }


def made_by(origin: dict[str, Any], says: Passages) -> None:
    """The sentence on what the runs were made with, as every README has it."""
    machine, versions = origin["machine"], origin["versions"]
    says(
        "Made by commit `{}` on an {} with {}, {}, Python {}, torch {}.",
        origin["commit"][:7],
        machine["cpu"] or machine["processor"],
        plural(machine["threads"], "thread"),
        machine["system"],
        versions["python"],
        versions["torch"],
    )


def module(study: Path, name: str) -> ModuleType:
    """A study's measure.py or claims.py."""
    spec = importlib.util.spec_from_file_location(f"{study.name}_{name}", study / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def main() -> None:
    """Do as the command line says; exit code 1 if a study's README claims what was not measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("verb", choices=["check", "measure", "run"])
    parser.add_argument(
        "studies", nargs="*", metavar="STUDY", help="all if none is named, for check"
    )
    parser.add_argument(
        "--runs", type=Path, help="where the runs are; for measure: runs if not given"
    )
    said = parser.parse_args()
    names = said.studies or sorted(path.parent.name for path in HERE.glob("*/README.md"))
    if unknown := [name for name in names if not (HERE / name).is_dir()]:
        parser.error(f"there is no study {unknown[0]} in {HERE}")
    if said.verb != "check" and not said.studies:
        parser.error(f"name the study to {said.verb}")
    wrong = 0
    for study in (HERE / name for name in names):
        if said.verb == "run":
            subprocess.run(["bash", "-eu", str(study / "commands.sh")], check=True, cwd=HERE.parent)
        elif said.verb == "measure":
            write_measured(study, said.runs or Path("runs"))
        else:
            found = list(check(study, said.runs))
            wrong += len(found)
            holds = "every number follows from what was measured"
            print(f"{study.name}: {plural(len(found), 'fault') if found else holds}")
            for fault in found:
                print(f"  {fault}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
