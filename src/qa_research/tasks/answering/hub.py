"""Data sets as their splits of questions: from the Hugging Face hub, or from a directory.

A directory may be what `save_to_disk` wrote, or have the hub's layout: a file or several for each split.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qa_research.model.weights import first_line
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.reading import read_rows
from qa_research.tasks.answering.squad import questions_from_columns

log = logging.getLogger(__name__)
# Words in file names, as the hub reads them.
SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
TEXT_FILES = (".json", ".jsonl", ".csv", ".tsv", ".json.gz", ".jsonl.gz", ".csv.gz", ".tsv.gz")
METADATA = ("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json")
ONE_SPLIT = "all"


class DataSet:
    """The splits of a data set by name; a split is read when it is asked for.

    `dataset`: a hub id or a directory, whose files of text are in `encoding`, which `option` sets. `name` is
    what the user calls it, such as `--data=squad`; `otherwise` says what works without a network.

    Raises:
        FileNotFoundError: the hub cannot be reached, or has no such data set.
        ValueError: the directory is not in the hub's layout.
    """

    def __init__(
        self,
        dataset: str,
        revision: str | None,
        name: str,
        otherwise: str,
        encoding: str,
        option: str | None,
    ) -> None:
        self.name = name
        self._encoding = (encoding, option)
        path = Path(dataset).expanduser()
        self._files = _files_by_split(path) if path.is_dir() else {}
        self._tables: Mapping[str, Any] = {}
        if not self._files:
            dataset = str(path) if path.is_dir() else dataset
            self._tables = _fetch(dataset, revision, name, otherwise)

    @property
    def splits(self) -> list[str]:
        """The names of all splits; a single one that `save_to_disk` wrote is called `all`."""
        return list(self._files or self._tables)

    def questions(self, split: str) -> list[Question]:
        """All questions of a split.

        Raises:
            ValueError: there is no such split, or it holds no questions.
        """
        if split not in self.splits:
            raise ValueError(f"{self.name} has no split {split!r}; it has {', '.join(self.splits)}")
        if self._files:
            key = self.name.partition("=")[0]
            rows = [
                row
                for path in self._files[split]
                for row in read_rows(path, f"{key}={path}", *self._encoding)
            ]
        else:
            rows = list(self._tables[split])
        return questions_from_columns(rows, f"{self.name}, {split}")


def _files_by_split(directory: Path) -> dict[str, list[Path]]:
    """The files of JSON, JSON lines or CSV of a directory, by the split that their names say.

    Nothing if there is a file whose name says none: then `datasets` decides what belongs to what.
    """
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    if any(path.suffix in (".arrow", ".parquet") for path in files):
        return {}
    found: dict[str, list[Path]] = {}
    for path in files:
        if path.name in METADATA or path.name.startswith("."):
            continue
        if not path.name.lower().endswith(TEXT_FILES):
            continue
        split = _split_of(path.relative_to(directory))
        if split is None:
            return {}
        found.setdefault(split, []).append(path)
    return {split: found[split] for split in SPLIT_WORDS if split in found}


def _split_of(path: Path) -> str | None:
    """The split that a file's name says, or else its folders' names.

    >>> _split_of(Path("data/dev-v2.0.json")), _split_of(Path("train/0001.csv")), _split_of(Path("a.csv"))
    ('validation', 'train', None)
    """
    for part in (path.name, *reversed(path.parent.parts)):
        words = "".join(letter if letter.isalnum() else " " for letter in part.lower()).split()
        for split, names in SPLIT_WORDS.items():
            if set(names) & set(words):
                return split
    return None


def _fetch(dataset: str, revision: str | None, name: str, otherwise: str) -> Mapping[str, Any]:
    import datasets

    datasets.disable_progress_bars()
    is_directory = Path(dataset).is_dir()
    if not is_directory:
        log.info(
            "Asking the hub for %s (without a network this takes half a minute to fail)", dataset
        )
    try:
        if is_directory and (Path(dataset) / "dataset_dict.json").is_file():
            tables: Mapping[str, Any] = datasets.DatasetDict.load_from_disk(dataset)
        elif is_directory and (Path(dataset) / "state.json").is_file():
            tables = {ONE_SPLIT: datasets.Dataset.load_from_disk(dataset)}
        else:
            tables = datasets.load_dataset(dataset, revision=revision)
        return tables
    except Exception as error:
        # What `datasets` raises of a directory depends on which of its many files is wrong.
        known = (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError)
        if not is_directory and not isinstance(error, known):
            raise
        if isinstance(error, RuntimeError) and "script" in str(error):
            raise ValueError(
                f"{name} comes with a loading script, and code that comes with data is never run; give its "
                "files of questions by their own paths"
            ) from error
        if is_directory:
            raise ValueError(
                f"{name} is not a directory in the hub's layout ({first_line(error)}); expected files "
                "such as train.parquet and validation.parquet with the columns id, context, question, "
                "answers, or SQuAD JSON in train.json and validation.json. A single file of questions can "
                "be given by its own path"
            ) from error
        raise FileNotFoundError(
            f"{name} could not be fetched ({first_line(error)}). {otherwise}"
        ) from error
