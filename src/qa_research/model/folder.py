"""A Hugging Face directory before anything is loaded: what is in it, and what it is if no model can be asked.

Also the output folder of a training by transformers' Trainer, whose checkpoint-500/ and so on are its steps.
Reads JSON and the names of tensors; needs neither torch nor transformers, whose imports take seconds.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from qa_research.files import parse_json, read_json

CONFIG = "config.json"
TRAINER_STATE = "trainer_state.json"
# In the order in which they are taken: the first needs no unpickling.
WEIGHTS = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
OTHER_WEIGHTS = {
    "tf_model.h5": "TensorFlow",
    "flax_model.msgpack": "Flax",
    "model.onnx": "ONNX",
    "rust_model.ot": "Rust",
}
ADAPTER = "adapter_config.json"
_ANY_WEIGHTS = (*WEIGHTS, *OTHER_WEIGHTS, ADAPTER)
TOKENIZER = (
    *("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "spm.model"),
    *("sentencepiece.bpe.model", "tokenizer.model"),
)
_DATA_SET = ("dataset_info.json", "dataset_dict.json", "state.json")
_HEAD = re.compile(r"For[A-Z]\w*$")


@dataclass(frozen=True)
class ChosenWeights:
    """One set of weights of a folder: where they are, and as the user would name that; what to say of them.

    `step` is None if nothing says after how many optimizer steps they were saved.
    """

    directory: Path
    typed: str
    step: int | None
    note: str


@dataclass(frozen=True)
class ModelFolder:
    """A directory with a model, or with checkpoint-500/ and so on, or both; `typed`: as the user names it."""

    directory: Path
    typed: str

    @cached_property
    def checkpoints(self) -> dict[int, Path]:
        """The checkpoints by their step, in order."""
        found = {
            int(path.name.removeprefix("checkpoint-")): path
            for path in self.directory.glob("checkpoint-*")
            if path.is_dir() and path.name.removeprefix("checkpoint-").isdecimal()
        }
        return dict(sorted(found.items()))

    @cached_property
    def has_own_weights(self) -> bool:
        """Whether the directory itself holds weights, and not only its checkpoints.

        Also such as cannot be asked: then it is said why, and no others are taken in their place.
        """
        return any((self.directory / name).is_file() for name in _ANY_WEIGHTS)

    @cached_property
    def state(self) -> dict[str, Any]:
        """What the Trainer last wrote about its training; empty if it wrote nothing.

        Raises:
            ValueError: it is no JSON object.
        """
        for folder in (self.directory, *reversed(self.checkpoints.values())):
            if (path := folder / TRAINER_STATE).is_file():
                found = read_json(path)
                if not isinstance(found, dict):
                    raise ValueError(f"{path} holds no JSON object")
                return found
        return {}

    @property
    def names(self) -> list[str]:
        """What `--checkpoint` may be."""
        return ["best", "last", *map(str, self.checkpoints)]

    def chosen(self, which: str) -> ChosenWeights:
        """The weights that `--checkpoint` names: best, last, a step, checkpoint-500 or a path.

        `best` is what trainer_state.json calls the best checkpoint; where nothing says, the same as `last`:
        the directory's own weights, or else its latest checkpoint.

        Raises:
            FileNotFoundError: there is no such checkpoint.
        """
        name = which.removeprefix("checkpoint-")
        if name.isdecimal() and int(name) in self.checkpoints:
            return self._checkpoint(int(name))
        if which == "best":
            return self._best()
        if which == "last":
            return self._last()
        path = Path(which).expanduser()
        if not name.isdecimal() and path.is_dir():
            return ChosenWeights(path, which, _step(path), which)
        steps = ", ".join(self.names) if self.checkpoints else "best and last, which are its own"
        raise FileNotFoundError(f"there is no checkpoint {which}; {self.typed} has {steps}")

    def all_chosen(self) -> list[str]:
        """Every checkpoint as `chosen` takes it, by step, and `last` if the own weights are another.

        Raises:
            ValueError: there are none.
        """
        if not self.checkpoints:
            raise ValueError(
                f"{self.typed} has no checkpoint-500/ and so on, only its own weights; leave out "
                "--all-checkpoints"
            )
        steps = list(map(str, self.checkpoints))
        ends_later = self.has_own_weights and _step(self.directory) != list(self.checkpoints)[-1]
        # Without a trainer_state.json nothing says that the own weights are another step.
        return [*steps, "last"] if ends_later and _step(self.directory) is not None else steps

    def _checkpoint(self, step: int, note: str | None = None) -> ChosenWeights:
        path = self.checkpoints[step]
        typed = f"{self.typed.rstrip('/')}/{path.name}"
        return ChosenWeights(path, typed, step, note or path.name)

    def _best(self) -> ChosenWeights:
        said = self.state.get("best_model_checkpoint")
        if not isinstance(said, str) or self.directory.name.startswith("checkpoint-"):
            return self._last()
        # By its name: the folder may have been moved since.
        name = re.split(r"[/\\]", said.rstrip("/\\"))[-1]
        step = name.removeprefix("checkpoint-")
        if step.isdecimal() and int(step) in self.checkpoints:
            return self._checkpoint(int(step), f"{name}, the best by its {TRAINER_STATE}")
        last = self._last()
        note = f"{last.note}; the best by its {TRAINER_STATE}, {name}, is no longer there"
        return replace(last, note=note)

    def _last(self) -> ChosenWeights:
        if self.has_own_weights or not self.checkpoints:
            step = _step(self.directory)
            is_said = step is None or self.directory.name == f"checkpoint-{step}"
            note = self.typed if is_said else f"{self.typed}, step {step}"
            return ChosenWeights(self.directory, self.typed, step, note)
        latest = list(self.checkpoints)[-1]
        note = f"checkpoint-{latest}, the latest; {self.typed} has no weights of its own"
        return self._checkpoint(latest, note)


def looks_like_a_model(directory: Path) -> bool:
    """Whether a directory is a Hugging Face model's, or has checkpoints of a Trainer."""
    return (directory / CONFIG).is_file() or any(directory.glob("checkpoint-*/"))


def weights_file(directory: Path) -> Path | None:
    """The file of weights, or the index of several; safetensors rather than a pickle."""
    return next((path for name in WEIGHTS if (path := directory / name).is_file()), None)


def missing_weights(directory: Path) -> str | None:
    """What is missing of a directory's weights: all, or a file that their index names; None: nothing."""
    path = weights_file(directory)
    if path is None:
        return "model.safetensors or pytorch_model.bin"
    parts = set(_weight_map(path).values()) if path.suffix == ".json" else set()
    return next((str(part) for part in sorted(parts) if not (directory / part).is_file()), None)


def _weight_map(path: Path) -> dict[str, str]:
    index = read_json(path)
    found = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise ValueError(f"{path} is no index of weights: it has no object weight_map")
    return found


def tensor_names(path: Path) -> set[str] | None:
    """The names of the tensors in a file of weights, or in an index of several; None: a pickle does not say.

    Raises:
        ValueError: it is damaged.
    """
    if path.suffix == ".json":
        return set(_weight_map(path))
    if path.suffix == ".bin":
        return None
    with path.open("rb") as file:
        # A safetensors file begins with the length of its header in 8 bytes, and the header as JSON.
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= path.stat().st_size else b""
    try:
        return set(parse_json(header, str(path))) - {"__metadata__"}
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged, or no safetensors file") from error


def check_model(directory: Path, typed: str) -> dict[str, Any]:
    """Its config.json, once the directory is known to hold a model with weights and without code of its own.

    Raises:
        FileNotFoundError: it holds none; the message says what it holds instead.
        ValueError: it cannot be asked: an adapter, code from elsewhere, an architecture for something else.
    """
    check_is_whole(directory, typed)
    if not (directory / CONFIG).is_file():
        raise FileNotFoundError(what_it_is(directory, typed))
    config = read_json(directory / CONFIG)
    if not isinstance(config, dict):
        raise ValueError(f"{directory / CONFIG} holds no JSON object")
    if "auto_map" in config:
        raise ValueError(
            f"{typed} can be used only with code of its own (auto_map in its {CONFIG}), and code that comes "
            "with weights is never run"
        )
    if weights_file(directory) is None:
        raise FileNotFoundError(_without_weights(directory, typed))
    if missing := missing_weights(directory):
        raise FileNotFoundError(
            f"{typed} is incomplete: its index of weights names {missing}, which is missing"
        )
    made = (config.get("architectures") or [""])[0]
    if _HEAD.search(str(made)) and "ForQuestionAnswering" not in str(made):
        raise ValueError(without_head(typed, str(made)))
    return config


def check_is_whole(directory: Path, typed: str) -> None:
    """Refuse a directory that says it is an adapter: transformers would load its base from somewhere else.

    Raises:
        ValueError: it is one.
    """
    if (directory / ADAPTER).is_file():
        raise ValueError(
            f"{typed} is an adapter{_base_of_adapter(directory)}, not a whole model; merge it "
            "(merge_and_unload in peft) and save that"
        )


def without_head(typed: str, made: str) -> str:
    """A sentence on a model that has no layer for starts and ends; `made`: what it is."""
    return (
        f"{typed} is a {made} without a question-answering output layer; this trains one: python train.py "
        f"model=as_weights model.weights={typed}"
    )


def check_tokenizer(directory: Path, typed: str) -> Path:
    """The directory of the tokenizer: that of the weights, or for a checkpoint also the one above it.

    Raises:
        FileNotFoundError: neither has one.
    """
    places = [directory]
    if directory.name.startswith("checkpoint-"):
        places.append(directory.parent)
    for place in places:
        if any((place / name).is_file() for name in TOKENIZER):
            return place
    base = read_json(directory / CONFIG).get("_name_or_path") or "BASE"
    source = "the model it was trained from"
    steps = _steps_of(directory)
    if having := [n for n, path in steps.items() if any((path / f).is_file() for f in TOKENIZER)]:
        base = source = f"{_beside(directory, typed)}/checkpoint-{having[-1]}"
    raise FileNotFoundError(
        f"{typed} has no tokenizer (tokenizer.json or vocab.txt); put that of {source} "
        f"there: AutoTokenizer.from_pretrained({str(base)!r}).save_pretrained({typed!r})"
    )


def _steps_of(directory: Path) -> dict[int, Path]:
    """The checkpoints in a directory; of a checkpoint, those beside it and itself."""
    is_one = directory.name.startswith("checkpoint-")
    return ModelFolder(directory.parent if is_one else directory, "").checkpoints


def _beside(directory: Path, typed: str) -> str:
    """Where `_steps_of` looks, as the user would name it."""
    return (
        str(Path(typed).parent) if directory.name.startswith("checkpoint-") else typed.rstrip("/")
    )


def what_it_is(directory: Path, typed: str) -> str:
    """A sentence on a directory that holds neither a run nor a model."""
    inside = sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))
    if not inside:
        return f"{typed} is an empty directory; RUN is a run, a Hugging Face model directory or a hub id"
    if any(name in inside for name in _DATA_SET):
        return f"{typed} is a data set, not a model; --data {typed} asks a model its questions"
    if any(directory.glob("run.json")):
        return f"{typed} is a run"
    if any(directory.glob("*/run.json")) or any(directory.glob("*/*/run.json")):
        return f"{typed} is a folder of runs, not one of them; qa-research runs list names them"
    if found := next((name for name in _ANY_WEIGHTS if (directory / name).is_file()), None):
        complete = [n for n, p in _steps_of(directory).items() if (p / CONFIG).is_file()]
        source = f"{_beside(directory, typed)}/checkpoint-{complete[-1]}" if complete else ""
        return (
            f"{typed} has weights ({found}) but no {CONFIG}, which says of what network; copy that of "
            f"{source or 'the model it was trained from'}"
        )
    shown = ", ".join(inside[:5]) + (", ..." if len(inside) > 5 else "")
    return f"{typed} is neither a run nor a Hugging Face model: it has no {CONFIG}, only {shown}"


def _without_weights(directory: Path, typed: str) -> str:
    if (directory.parent / "run.json").is_file():
        return f"{typed} is a part of the run {directory.parent}, whose weights are beside it; name the run"
    for name, library in OTHER_WEIGHTS.items():
        if (directory / name).is_file():
            return (
                f"{typed} has weights of {library} only ({name}); save it with transformers of PyTorch "
                "(save_pretrained)"
            )
    return f"{typed} has a {CONFIG} but no weights: no model.safetensors and no pytorch_model.bin"


def _base_of_adapter(directory: Path) -> str:
    found = read_json(directory / ADAPTER)
    base = found.get("base_model_name_or_path") if isinstance(found, dict) else None
    return f" of {base}" if base else ""


def _step(directory: Path) -> int | None:
    """The optimizer step of a directory's own weights, from its name or its trainer_state.json."""
    number = directory.name.removeprefix("checkpoint-")
    if number != directory.name and number.isdecimal():
        return int(number)
    path = directory / TRAINER_STATE
    found = read_json(path) if path.is_file() else {}
    step = found.get("global_step") if isinstance(found, dict) else None
    return step if type(step) is int else None
