"""What --data names: the built-in corpus, a data set of the hub, a directory, or a file.

Nothing is read before it is needed: a source's identity and state are enough to find its catalogue.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from qa_research.files import UTF_8, check_encoding
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.squad import read_questions

SPLITS = ("train", "validation")
BUILTIN_SEED = 0
HUB_IDS = {"squad": "rajpurkar/squad", "squad_v2": "rajpurkar/squad_v2"}
# Tokens in a window, and tokens that two windows share; as in conf/data.
BUILTIN_WINDOW = (128, 32)
USUAL_WINDOW = (384, 128)
# Tokens that an answer may have; as in conf/data.
BUILTIN_ANSWER_TOKENS, USUAL_ANSWER_TOKENS = 8, 30
KNOWN = "builtin, squad, squad_v2, a directory in the hub's layout, or a file of questions"
OFFLINE = "These work offline: builtin, a directory in the hub's layout, a file of questions"


@dataclass(frozen=True)
class NamedSource:
    """One split of a source: its name, what distinguishes it from others, and how it is read.

    `option` and `data` are the user's spelling; `split` is None for a file, which has no splits.
    `identity` never changes, `state` changes with the questions. `window`: max_tokens and stride_tokens
    that a training on it has by default.
    """

    option: str
    data: str
    split: str | None
    identity: str
    state: str
    window: tuple[int, int]
    read: Callable[[], list[Question]]

    @property
    def name(self) -> str:
        """How it is shown: `train of builtin`, or the file."""
        return f"{self.split} of {self.data}" if self.split else self.data

    @property
    def spelled(self) -> str:
        """The options that select it: `--data=builtin --split=train`."""
        return f"{self.option}={self.data}" + (f" --split={self.split}" if self.split else "")


def has_splits(data: str) -> bool:
    """Whether what --data names is in splits, of which --split names one; a file is not."""
    return data in ("builtin", *HUB_IDS) or Path(data).expanduser().is_dir()


def joined(data: str, split: str) -> str:
    """A source with splits and one of them as one text, which `taken_apart` reads back."""
    return f"{data}:{split}"


def taken_apart(asked: str) -> tuple[str, str | None]:
    """A source and its split (None: a file).

    >>> taken_apart("builtin:train"), taken_apart("./a:b.json")
    (('builtin', 'train'), ('./a:b.json', None))
    """
    data, _, split = asked.rpartition(":")
    return (data, split) if split in SPLITS and has_splits(data) else (asked, None)


def find_source(data: str, split: str | None, encoding: str = UTF_8) -> NamedSource:
    """The split (None: train, or all of a file) of what --data names; text files are in `encoding`.

    Raises:
        FileNotFoundError: there is nothing of that name.
        ValueError: it has no such split.
    """
    check_encoding(encoding, "--encoding")
    if data == "builtin":
        return _builtin(_one_of_two(data, split))
    if data in HUB_IDS:
        dataset = HUB_IDS[data]
        return _in_hub_layout(
            data, dataset, _one_of_two(data, split), f"hub {dataset}", "", encoding
        )
    if not data:
        raise ValueError(f"--data is empty; it may be {KNOWN}")
    path = Path(data).expanduser()
    if path.is_dir():
        identity = f"directory {path.resolve()}"
        # One split that `save_to_disk` wrote.
        is_single = (path / "state.json").is_file() and not (path / "dataset_dict.json").is_file()
        split = split or ("all" if is_single else "train")
        return _in_hub_layout(data, str(path), split, identity, _state(path, encoding), encoding)
    if not path.is_file():
        raise FileNotFoundError(f"--data={data} does not exist; --data may be {KNOWN}")
    if split is not None:
        raise ValueError(
            f"--split={split} is for data with splits, but --data={data} is a single file; remove --split"
        )
    return NamedSource(
        option="--data",
        data=data,
        split=None,
        identity=f"file {path.resolve()}",
        state=_state(path, encoding),
        window=USUAL_WINDOW,
        read=lambda: read_questions(path, "--data", encoding, "--encoding"),
    )


def _builtin(split: str) -> NamedSource:
    def read() -> list[Question]:
        from qa_research.tasks.answering.corpus import generate

        corpus = generate(BUILTIN_SEED)
        return corpus.train if split == "train" else corpus.validation

    # The corpus is what its code generates, so a hash of the code cannot be forgotten like a version.
    code = files("qa_research.tasks.answering").joinpath("corpus.py").read_bytes()
    identity = f"builtin {BUILTIN_SEED}"
    state = hashlib.sha256(code).hexdigest()
    return NamedSource("--data", "builtin", split, identity, state, BUILTIN_WINDOW, read)


def _in_hub_layout(
    data: str, dataset: str, split: str, identity: str, state: str, encoding: str
) -> NamedSource:
    name = f"--data={data}"

    def read() -> list[Question]:
        from qa_research.tasks.answering.hub import DataSet

        found = DataSet(dataset, None, name, OFFLINE, encoding, "--encoding")
        if split not in found.splits:
            raise ValueError(f"--split={split}: {name} has the splits {', '.join(found.splits)}")
        return found.questions(split)

    return NamedSource("--data", data, split, identity, state, USUAL_WINDOW, read)


def _one_of_two(data: str, split: str | None) -> str:
    if split not in (None, *SPLITS):
        raise ValueError(f"--split={split}: --data={data} has the splits {' and '.join(SPLITS)}")
    return split or "train"


def _state(path: Path, encoding: str) -> str:
    """A sha256 of the names and contents of a file, or of all files in a directory, and how it is read.

    Of equal size and time a file may still have other content, as one that was copied over it with its time.
    """
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    digest = hashlib.sha256(encoding.encode())
    for file in files:
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        digest.update(f"{file} {found}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
