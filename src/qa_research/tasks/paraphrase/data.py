"""Pairs from the built-in set, from files or from a hub, and their batches for Lightning."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import MinLen
from numpy.typing import NDArray

from qa_research.files import UTF_8, check_encoding
from qa_research.model.tokenizer import EncodedPairs, encode_pairs
from qa_research.tasks.hub import fetched, files_by_split
from qa_research.tasks.paraphrase.corpus import Kind, generate
from qa_research.tasks.paraphrase.pairs import Pair, fingerprint, pairs_of_rows, read_pairs
from qa_research.tasks.parted import SPLITS, LabelledBatches, PartedData

IN_HUB_LAYOUT = (
    "expected files such as train.parquet and validation.parquet, or train.tsv and dev.tsv, with the columns "
    "sentence1, sentence2 and label"
)
WITHOUT_NETWORK = (
    "These work without a network: data=pairs, data=pairs_file with data.train_path= and "
    "data.validation_path=, or data.dataset=DIRECTORY in the hub's layout"
)


class PairData(PartedData):
    """Pairs of one source, tokenised and batched. A subclass implements `read`.

    Call `load()`, then `prepare(...)` with a tokenizer, then the loaders.
    """

    train: list[Pair]
    validation: list[Pair]

    def texts(self, example: Pair) -> Sequence[str]:
        return example.first, example.second

    def prepare(self, tokenizer: Any, order_seed: int) -> None:
        """Tokenise both splits."""
        self.encoded: dict[str, EncodedPairs] = {}
        for split, pairs in zip(SPLITS, (self.train, self.validation), strict=True):
            firsts, seconds = zip(*map(self.texts, pairs), strict=True)
            self.encoded[split] = encode_pairs(tokenizer, firsts, seconds, self.max_tokens)
        self.pad_token_id = int(tokenizer.pad_token_id)
        self.order_seed = order_seed

    def fingerprints(self) -> dict[str, str]:
        """A sha256 of each split's pairs."""
        return {"train": fingerprint(self.train), "validation": fingerprint(self.validation)}

    def lengths(self, split: str) -> NDArray[np.int64]:
        return self.encoded[split].lengths

    def batches_of(self, split: str) -> LabelledBatches:
        labels = [pair.label for pair in getattr(self, split)]
        return LabelledBatches(self.encoded[split], labels, self.pad_token_id)


class BuiltinPairs(PairData):
    """Our own pairs of some kinds, generated from `seed`."""

    def __init__(self, kinds: Annotated[list[Kind], MinLen(1)], **settings: Any) -> None:
        super().__init__(**settings)
        self.kinds = kinds

    def read(self, split: str) -> list[Pair]:
        return generate(self.seed, self.kinds)[SPLITS.index(split)]


class FilePairs(PairData):
    """Two files of columns between tabs, in `encoding`: Microsoft's, or any with the columns' names."""

    def __init__(
        self, train_path: str, validation_path: str, encoding: str, **settings: Any
    ) -> None:
        super().__init__(**settings)
        check_encoding(encoding, "data.encoding")
        self.paths = {"train": train_path, "validation": validation_path}
        self.encoding = encoding

    def read(self, split: str) -> list[Pair]:
        return read_pairs(self.paths[split], f"data.{split}_path", self.encoding, "data.encoding")


class HubPairs(PairData):
    """A data set with GLUE's columns on the hub (`subset`: which of it), or a directory in its layout."""

    def __init__(
        self, dataset: str, subset: str | None, revision: str | None, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.source, self.subset, self.revision = dataset, subset, revision

    def read(self, split: str) -> list[Pair]:
        name = f"data.dataset={self.source}"
        path = Path(self.source).expanduser()
        found = files_by_split(path, (".tsv", ".txt")) if path.is_dir() else {}
        if split in found:
            pairs = [read_pairs(str(file), "data.dataset", UTF_8) for file in found[split]]
            return [pair for of_file in pairs for pair in of_file]
        source, subset = (str(path), None) if path.is_dir() else (self.source, self.subset)
        tables = fetched(source, self.revision, name, IN_HUB_LAYOUT, WITHOUT_NETWORK, subset)
        if split not in tables:
            raise ValueError(f"{name} has no split {split!r}; it has {', '.join(tables)}")
        return pairs_of_rows(list(tables[split]), f"{name}, {split}")
