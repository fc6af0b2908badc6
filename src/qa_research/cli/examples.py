"""evaluate, predict and ask for a run of any task, by what its task says of itself (tasks/opened.py)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_research.text import plural, print_json, print_line, print_note, singular

if TYPE_CHECKING:
    from qa_research.tasks.opened import Examples, Opened

# What `ask` has options for; what another task is asked with is typed as `--input NAME=TEXT`.
OPTIONS = ("question", "context", "first", "second", "sequence")


def examples_of(
    opened: "Opened[Any]", split: str | None, data: Path | None, encoding: str, on_bad_rows: str
) -> "Examples[Any]":
    """The examples that --split or --data names.

    Raises:
        FileNotFoundError, ValueError: there are none, or --on-bad-rows was given.
    """
    if on_bad_rows != "error":
        raise ValueError(
            f"--on-bad-rows={on_bad_rows} is for questions; a file of {opened.examples} with a row that "
            "cannot be asked is refused"
        )
    return (
        opened.own(split or "validation") if data is None else opened.of_file(str(data), encoding)
    )


def results_folder(
    opened: "Opened[Any]", asked: str, data: Path | None, out: Path | None, rows: Sequence[Any]
) -> Path:
    """Where the files of these answers go, which must be a place that can be written.

    `asked`: the split or the file. `rows`: the examples.

    Raises:
        OSError: it cannot.
    """
    from qa_research.files import readable_name
    from qa_research.runs.directory import check_writable

    name = f"{readable_name(Path(asked).stem)}-{opened.label}"
    if data is not None:
        # Two files may have one name.
        name += f"-{opened.fingerprint(rows)[:8]}"
    folder = (out or opened.results / "predictions" / name).expanduser()
    check_writable(folder, "--out DIR")
    return folder


def evaluate_examples(
    opened: "Opened[Any]", found: "Examples[Any]", folder: Path, wrong: int | None, as_json: bool
) -> None:
    """Score a network on examples, show the scores, and write them."""
    from qa_research.tasks.evaluation import evaluate

    if wrong and opened.right is None:
        raise ValueError(f"--wrong shows wrong answers, and {opened.why_none_is_right}")
    result = evaluate(opened, found)
    if found.choosing and found.all_chose:
        print_note(
            f"all {len(found.rows):,} {opened.examples} chose the best weights, so their scores are partly "
            "luck"
        )
    # Shown before they are written: the disk may be full.
    if as_json:
        print_json(result.as_json(wrong) | {"files": str(folder)})
    else:
        print_line("\n".join(result.lines()))
        result.show_mistakes(wrong or 0)
    files = result.write(folder)
    if not as_json:
        mistakes = result.mistakes
        told = "" if mistakes is None else f" ({plural(len(mistakes), 'wrong answer')})"
        print_line(f"\n{opened.label} of {opened.name}")
        print_line(f"{', '.join(files[:-1])} and {files[-1]}{told} are in {folder}")


def predict_examples(
    opened: "Opened[Any]", found: "Examples[Any]", folder: Path, as_json: bool
) -> None:
    """What a network makes of examples, into predictions.json."""
    from qa_research.tasks.evaluation import PREDICTIONS, write_rows

    rows = opened.answering_of(found.rows)(found.rows)
    write_rows(folder, rows)
    if as_json:
        print_json({"examples": opened.examples, "total": len(rows), "files": str(folder)})
        return
    called = singular(opened.examples) if len(rows) == 1 else opened.examples
    print_line(f"{len(rows):,} {called} answered")
    print_line(f"{PREDICTIONS} is in {folder}")


def ask_example(
    opened: "Opened[Any]", given: Mapping[str, str], n_best: int, as_json: bool
) -> None:
    """Ask one example that was typed, and show what the network makes of it.

    `given`: by the name of an option, without its dashes, what was typed.

    Raises:
        ValueError: that is not what this run is asked with.
    """
    if given.keys() != set(opened.asked_with):
        raise not_asked_with(opened, given)
    (row,) = opened.rows([opened.example(given)])
    if as_json:
        print_json(dict(given) | row)
        return
    print_line("\n".join(opened.answer_lines(row, n_best)))


def not_asked_with(opened: "Opened[Any]", given: Mapping[str, str]) -> ValueError:
    """Why a run cannot be asked with these options: others are its own, or some are missing."""
    wanted = " and ".join(map(typed, opened.asked_with))
    if others := [name for name in given if name not in opened.asked_with]:
        return ValueError(
            f"{opened.name} is asked with {wanted}, not with {' and '.join(map(typed, others))}"
        )
    missing = [name for name in opened.asked_with if name not in given]
    verb = "are" if len(missing) > 1 else "is"
    lack = " and ".join(map(typed, missing))
    return ValueError(f"{opened.name} is asked with {wanted}; {lack} {verb} missing")


def typed(name: str) -> str:
    """An option as it is typed.

    >>> typed("first"), typed("x")
    ('--first', '--input x=...')
    """
    return f"--{name}" if name in OPTIONS else f"--input {name}=..."


def named_inputs(inputs: Sequence[str] | None) -> dict[str, str]:
    """The words of --input, by name.

    Raises:
        ValueError: one has no name, or one name has two.
    """
    found: dict[str, str] = {}
    for word in inputs or ():
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise ValueError(f"--input is NAME=TEXT, got {word!r}")
        if name in found:
            raise ValueError(f"--input {name}=... is there twice")
        found[name] = text
    return found
