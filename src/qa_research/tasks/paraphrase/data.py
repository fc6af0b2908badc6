"""Pairs from the built-in set, from files or from a hub, and their batches for Lightning."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from annotated_types import MinLen

from qa_research.files import UTF_8, check_encoding
from qa_research.tasks.hub import fetched, files_by_split
from qa_research.tasks.labelled_texts import LabelledTexts
from qa_research.tasks.paraphrase.corpus import Kind, generate
from qa_research.tasks.paraphrase.pairs import Pair, fingerprint, pairs_of_rows, read_pairs
from qa_research.tasks.parted import SPLITS

IN_HUB_LAYOUT = (
    "expected files such as train.parquet and validation.parquet, or train.tsv and dev.tsv, with the columns "
    "sentence1, sentence2 and label"
)
OFFLINE = (
    "These work offline: data=pairs, data=pairs_file with data.train_path= and "
    "data.validation_path=, or data.dataset=DIRECTORY in the hub's layout"
)


class PairData(LabelledTexts):
    """Pairs of one source in batches; a subclass implements `read`."""

    train: list[Pair]
    validation: list[Pair]

    def texts(self, example: Pair) -> Sequence[str]:
        return example.first, example.second

    def fingerprint(self, examples: Sequence[Pair]) -> str:
        return fingerprint(examples)


class BuiltinPairs(PairData):
    """Our own pairs of some kinds, generated from `seed`."""

    def __init__(self, kinds: Annotated[list[Kind], MinLen(1)], **settings: Any) -> None:
        super().__init__(**settings)
        self.kinds = kinds

    def read(self) -> dict[str, list[Pair]]:
        return dict(zip(SPLITS, generate(self.seed, self.kinds), strict=True))


class FilePairs(PairData):
    """Two files of columns between tabs, in `encoding`: Microsoft's, or any with the columns' names."""

    def __init__(
        self, train_path: str, validation_path: str, encoding: str, **settings: Any
    ) -> None:
        super().__init__(**settings)
        check_encoding(encoding, "data.encoding")
        self.paths = {"train": train_path, "validation": validation_path}
        self.encoding = encoding

    def read(self) -> dict[str, list[Pair]]:
        return {
            split: read_pairs(path, f"data.{split}_path", self.encoding, "data.encoding")
            for split, path in self.paths.items()
        }


class HubPairs(PairData):
    """A data set with GLUE's columns on the hub (`subset`: which of it), or a directory in its layout."""

    def __init__(
        self, dataset: str, subset: str | None, revision: str | None, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.source, self.subset, self.revision = dataset, subset, revision

    def read(self) -> dict[str, list[Pair]]:
        name = f"data.dataset={self.source}"
        path = Path(self.source).expanduser()
        found = files_by_split(path, (".tsv", ".txt")) if path.is_dir() else {}
        if found.keys() >= set(SPLITS):
            return {split: _of_files(found[split]) for split in SPLITS}
        source, subset = (str(path), None) if path.is_dir() else (self.source, self.subset)
        tables = fetched(source, self.revision, name, IN_HUB_LAYOUT, OFFLINE, subset)
        for split in SPLITS:
            if split not in tables:
                raise ValueError(f"{name} has no split {split!r}; it has {', '.join(tables)}")
        return {split: pairs_of_rows(list(tables[split]), f"{name}, {split}") for split in SPLITS}


def _of_files(paths: Sequence[Path]) -> list[Pair]:
    return [pair for path in paths for pair in read_pairs(str(path), "data.dataset", UTF_8)]
