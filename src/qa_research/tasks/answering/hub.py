"""Data sets as their splits of questions. Where they are from is said in tasks/hub.py."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.reading import read_rows
from qa_research.tasks.answering.squad import questions_from_columns
from qa_research.tasks.hub import fetched, files_by_split

EXPECTED = (
    "expected files such as train.parquet and validation.parquet with the columns id, context, question, "
    "answers, or SQuAD JSON in train.json and validation.json. A single file of questions can be given by "
    "its own path"
)


class DataSet:
    """The splits of a data set by name; a split is read when it is asked for.

    `dataset`: a hub id or a directory, whose files of text are in `encoding`, which `option` sets. `name` is
    what the user calls it, such as `--data=squad`; `otherwise` says what works offline.

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
        self._files = files_by_split(path) if path.is_dir() else {}
        self._tables: Mapping[str, Any] = {}
        if not self._files:
            dataset = str(path) if path.is_dir() else dataset
            self._tables = fetched(dataset, revision, name, EXPECTED, otherwise, None)

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
