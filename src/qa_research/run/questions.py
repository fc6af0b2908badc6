"""The questions that a trained run can be asked: its own splits, or any SQuAD file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qa_research.data.question import Question, describe_bad_rows, find_bad_rows
from qa_research.data.squad import read_questions
from qa_research.run.config import build

SPLITS = ("validation", "train")


def questions_of(config: Mapping[str, Any], record: Mapping[str, Any], data: str) -> list[Question]:
    """`data`: validation or train, the run's own as it was trained on them; or a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the run's questions are no longer what they were, or the file's are unusable.
    """
    if data in SPLITS:
        wanted = record.get("fingerprints", {}).get(data)
        if wanted is None:
            raise ValueError(
                "run.json does not say which questions the run has; --data FILE names some"
            )
        source: Any = build(config["data"])
        source.load()
        if source.fingerprints()[data] != wanted:
            raise ValueError(
                f"the {data} questions are no longer those of this run; --data FILE names others"
            )
        return list(getattr(source, data))
    questions = read_questions(data, "--data")
    if bad := find_bad_rows(questions):
        raise ValueError(
            f"--data={data} has {len(bad)} unusable questions: {describe_bad_rows(bad, 20)}"
        )
    return questions


def name_of(config: Mapping[str, Any], data: str) -> tuple[str, str]:
    """What `data` is called: a file's own name, a data set of the hub, or builtin; and the split."""
    if data in SPLITS:
        settings = config["data"]
        file = settings.get(f"{data}_path")
        name = Path(file).name if file else settings.get("dataset") or settings["name"]
        return str(name), data
    return Path(data).name, "file"
