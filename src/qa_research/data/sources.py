"""Where questions come from: the built-in corpus, files, or a hub. One class a source."""

from typing import Any

from qa_research.data.corpus import generate
from qa_research.data.datamodule import QuestionData, Splits
from qa_research.data.hub import fetch
from qa_research.data.squad import questions_from_columns, read_questions

_WITHOUT_NETWORK = (
    "These work without a network: data=builtin, data=squad_file with data.train_path= and "
    "data.validation_path=, or data.dataset=DIRECTORY in the hub's layout"
)


class BuiltinData(QuestionData):
    """The generated corpus of school notices; `seed` draws it."""

    def read(self) -> Splits:
        corpus = generate(self.seed)
        return Splits(corpus.train, corpus.validation, corpus.guessing)


class FileData(QuestionData):
    """Two files, each of any shape that `squad.read_questions` reads."""

    def __init__(self, train_path: str, validation_path: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.train_path = train_path
        self.validation_path = validation_path

    def read(self) -> Splits:
        train = read_questions(self.train_path, "data.train_path")
        validation = read_questions(self.validation_path, "data.validation_path")
        return Splits(train, validation, {})


class HubData(QuestionData):
    """A data set with SQuAD's columns on the Hugging Face hub, or a directory in the hub's layout."""

    def __init__(self, dataset: str, revision: str | None, **settings: Any) -> None:
        super().__init__(**settings)
        self.dataset = dataset
        self.revision = revision

    def read(self) -> Splits:
        columns = fetch(
            self.dataset, self.revision, f"data.dataset={self.dataset}", _WITHOUT_NETWORK
        )
        missing = {"train", "validation"} - set(columns)
        if missing:
            raise ValueError(
                f"data.dataset={self.dataset} has no split {sorted(missing)[0]!r}; "
                f"it has {', '.join(columns)}"
            )
        name = f"data.dataset={self.dataset}"
        return Splits(
            questions_from_columns(columns["train"], name),
            questions_from_columns(columns["validation"], name),
            {},
        )
