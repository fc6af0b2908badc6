"""The names of a classifier's classes, and finding one by what a person types."""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def imagenet_labels() -> tuple[str, ...]:
    """The 1,000 classes of ImageNet in their usual order (torchvision's list; every name is unique)."""
    from torchvision.models import ResNet50_Weights

    return tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Class names from a file: a name a line, a JSON list, or {"0": ["n01440764", "tench"], ...}.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it holds none of these, or a class twice.
    """
    place = Path(path).expanduser()
    if not place.is_file():
        raise FileNotFoundError(f"classifier.labels={path} is no file")
    text = place.read_text(encoding="utf-8")
    names: list[str]
    if str(path).endswith(".json"):
        try:
            names = _from_json(json.loads(text))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(
                f"{path} holds no class names: expected "
                '["tench", ...] or {"0": ["n01440764", "tench"], ...}'
            ) from error
    else:
        names = [line.strip() for line in text.splitlines() if line.strip()]
    if len(names) < 2:
        raise ValueError(f"{path} names {len(names)} classes; a classifier has two at least")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path} names the class {twice[0]} more than once")
    return tuple(names)


def find_label(wanted: str | int, labels: Sequence[str]) -> int:
    """The index of a class by number, by name, or by a part of its name that no other has.

    Case, underscores and hyphens do not matter.

    Raises:
        ValueError: no class has it (near ones are offered), or several have.
    """
    text = str(wanted).strip()
    if text.isdecimal():
        if int(text) >= len(labels):
            raise ValueError(f"label={text} is no class: they are numbered 0 to {len(labels) - 1}")
        return int(text)
    folded = [_folded(label) for label in labels]
    name = _folded(text)
    exact = [i for i, label in enumerate(folded) if label == name]
    found = exact or [i for i, label in enumerate(folded) if name and name in label]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{labels[i]} ({i})" for i in found[:8])
        more = f" and {len(found) - 8} more" if len(found) > 8 else ""
        raise ValueError(f"label={wanted} fits several classes: {names}{more}; name one of them")
    near = difflib.get_close_matches(name, folded, n=3, cutoff=0.5)
    offered = " or ".join(labels[folded.index(label)] for label in near)
    raise ValueError(
        f"label={wanted} is no class of this classifier"
        + (f"; did you mean {offered}?" if near else f"; it has {len(labels)}, such as {labels[0]}")
    )


def _from_json(content: Any) -> list[str]:
    if isinstance(content, list):
        return [name for name in content if name.strip()]
    pairs = sorted((int(number), entry) for number, entry in content.items())
    if [number for number, _ in pairs] != list(range(len(pairs))):
        raise ValueError("a number is missing")
    return [entry if isinstance(entry, str) else entry[1] for _, entry in pairs]


def _folded(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
