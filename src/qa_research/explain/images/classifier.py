"""Image classifiers, ready to predict many pictures: class names, folded normalisations, preprocessing.

Their weights are read in weights.py.
"""

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from qa_research.explain.images.picture import Fit, Interpolation, fitted
from qa_research.explain.images.result import ClassifierFacts
from qa_research.explain.images.weights import fill, load_weights, published_weights
from qa_research.files import parse_json, read_text
from qa_research.model.weights import weights_fingerprint
from qa_research.text import did_you_mean, nearest

Precision = Literal["float32", "bfloat16"]
# Relative to the largest output: folding changes nothing but the rounding.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a network's input: (x - mean) / std of values from 0 to 1, by channel."""

    size: int
    resize: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class ImageClassifier:
    """A network in eval mode with its preprocessing and labels."""

    def __init__(
        self,
        name: str,
        weights: str,
        network: torch.nn.Module,
        preprocessing: Preprocessing,
        labels: tuple[str, ...],
        precision: Precision,
        batch_size: int,
        fit: Fit,
    ) -> None:
        self.name = name
        self.weights = weights
        self.preprocessing = preprocessing
        self.labels = labels
        self.precision = precision
        self.batch_size = batch_size
        self.fit = fit
        # Of the weights as they were read, before folding and whatever the precision.
        self.fingerprint = weights_fingerprint(network)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._dtype = getattr(torch, precision)
        network.eval()
        example = torch.rand(2, 3, self.size, self.size, generator=torch.Generator().manual_seed(0))
        fold_normalisations(network, example)
        # `to` changes the network itself, and what bfloat16 drops is gone.
        self._precise = copy.deepcopy(network) if precision != "float32" else None
        moved = network.to(self.device, self._dtype)
        # The memory order in which convolutions are fastest.
        self._network = moved.to(memory_format=torch.channels_last)

    def in_float32(self) -> "ImageClassifier | None":
        """The same classifier in float32; None if this one is."""
        if self._precise is None:
            return None
        precise = copy.copy(self)
        precise.precision, precise._dtype, precise._precise = "float32", torch.float32, None
        moved = self._precise.to(self.device)
        precise._network = moved.to(memory_format=torch.channels_last)
        return precise

    @property
    def size(self) -> int:
        """Pixels on each side of the network's input."""
        return self.preprocessing.size

    def seen(self, pixels: UInt8[ndarray, "height width 3"]) -> UInt8[ndarray, "size size 3"]:
        """A picture as the network sees it: resized and, with `crop`, only its middle."""
        how = self.preprocessing
        return fitted(pixels, how.size, how.resize, self.fit, how.interpolation)

    def prepared(self, pixels: ndarray) -> Float[Tensor, "3 size size"]:
        """The network's input for pixels of 0 to 255, on its device, in its precision."""
        how = self.preprocessing
        scaled = (pixels / 255 - np.array(how.mean)) / np.array(how.std)
        moved = torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))
        return moved.to(self.device, self._dtype)

    def described(self) -> ClassifierFacts:
        """What it is, for the result of an explanation."""
        return ClassifierFacts(
            name=self.name,
            weights=self.weights,
            fingerprint=self.fingerprint,
            classes=len(self.labels),
            size=self.size,
            fit=self.fit,
            precision=self.precision,
            device=self.device,
        )

    @torch.inference_mode()
    def predict(self, batch: Float[Tensor, "n 3 size size"]) -> Float[ndarray, "n label"]:
        """Probabilities of all classes, in float32, of prepared pictures.

        Raises:
            ValueError: the network does not have as many outputs as there are labels.
        """
        output = self._network(batch.contiguous(memory_format=torch.channels_last))
        if output.ndim != 2 or output.shape[1] != len(self.labels):
            raise ValueError(
                f"{self.name} has outputs of shape {tuple(output.shape)[1:]}, but there are "
                f"{len(self.labels)} labels"
            )
        return np.asarray(output.float().softmax(dim=1).cpu().numpy())


class EfficientNetLite0(ImageClassifier):
    """EfficientNet-Lite0 on ImageNet; its 17 MB of weights come with the extra `offline`.

    `weights`: package:NAME/PATH, or a file with a state dict.
    """

    def __init__(
        self,
        weights: str,
        precision: Precision,
        batch_size: Annotated[int, Ge(1)],
        fit: Fit,
    ) -> None:
        try:
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ValueError(
                "classifier=efficientnet_lite0 needs the extra offline: pip install 'qa-research[offline]'"
            ) from error
        network = EfficientNet.from_name("efficientnet-lite0")
        fill(network, load_weights(weights), weights)
        # As its authors scale: (255 x - 127) / 128 = (x - 127 / 255) / (128 / 255) for x in [0, 1].
        middle, scale = 127 / 255, 128 / 255
        preprocessing = Preprocessing(
            size=224,
            resize=256,
            interpolation="bicubic",
            mean=(middle,) * 3,
            std=(scale,) * 3,
        )
        super().__init__(
            "efficientnet_lite0",
            weights,
            network,
            preprocessing,
            imagenet_labels(),
            precision,
            batch_size,
            fit,
        )


class TorchvisionClassifier(ImageClassifier):
    """Any classifier of torchvision, by name.

    `weights`: an entry of the name's weight enumeration (IMAGENET1K_V1, ...), fetched once into torch's
    cache, or a file with a state dict. `labels`: a file with class names, or None for those of the entry.
    Preprocessing is that of the entry; a file is preprocessed as the enumeration's default entry.
    """

    def __init__(
        self,
        name: str,
        weights: str,
        labels: str | None,
        precision: Precision,
        batch_size: Annotated[int, Ge(1)],
        fit: Fit,
    ) -> None:
        published, entry = published_weights(_known(name), weights)
        state = load_weights(weights) if entry is None else entry
        names = read_labels(labels) if labels else tuple(published.meta["categories"])
        preprocessing = _preprocessing(published)
        network = _skeleton(name, len(names), preprocessing.size)
        fill(network, state, f"{name} from {weights}")
        super().__init__(name, weights, network, preprocessing, names, precision, batch_size, fit)


def classifier_names() -> list[str]:
    """Every classifier of torchvision."""
    import torchvision.models

    return [str(name) for name in torchvision.models.list_models(module=torchvision.models)]


def _known(name: str) -> str:
    names = classifier_names()
    if name not in names:
        raise ValueError(f"torchvision has no classifier {name}{did_you_mean(name, names)}")
    return name


def _skeleton(name: str, n_labels: int, size: int) -> torch.nn.Module:
    """The network with random weights, built for pictures of this size if it is built for one size."""
    from torchvision.models import get_model

    more: dict[str, Any] = {}
    if name.startswith("vit_"):
        more = {"image_size": size}
    # These two expect (x - 0.5) * 2, and convert ImageNet's scale themselves.
    if name in ("inception_v3", "googlenet"):
        more = {"transform_input": True, "init_weights": False, "aux_logits": True}
    network: torch.nn.Module = get_model(name, weights=None, num_classes=n_labels, **more)
    return network


def _preprocessing(published: Any) -> Preprocessing:
    transforms = published.transforms
    if isinstance(transforms, functools.partial):
        transforms = transforms()
    return Preprocessing(
        size=transforms.crop_size[0],
        resize=transforms.resize_size[0],
        interpolation="bicubic" if transforms.interpolation.value == "bicubic" else "bilinear",
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )


def imagenet_labels() -> tuple[str, ...]:
    """The 1,000 classes of ImageNet in the usual order (torchvision's list; every name is unique)."""
    from torchvision.models import ResNet50_Weights

    return tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Class names from a file: one per line, a JSON list, or {"0": ["n01440764", "tench"], ...}.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is none of these, or names a class twice.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"classifier.labels={path} is not a file")
    text = read_text(file, f"classifier.labels={path}")
    names: list[str]
    if str(path).endswith(".json"):
        try:
            names = _from_json(parse_json(text, str(path)))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(
                f"{path} does not contain class names: expected "
                '["tench", ...] or {"0": ["n01440764", "tench"], ...}'
            ) from error
    else:
        names = [line.strip() for line in text.splitlines() if line.strip()]
    if len(names) < 2:
        raise ValueError(f"{path} names {len(names)} classes; a classifier has at least two")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path} names the class {twice[0]} more than once")
    return tuple(names)


def find_label(wanted: str | int, labels: Sequence[str]) -> int:
    """The index of a class by its number, its name, or a part of its name that no other class has.

    Case, underscores and hyphens do not matter.

    Raises:
        ValueError: no class matches (similar ones are suggested), or several do.
    """
    text = str(wanted).strip()
    if text.isdecimal():
        if int(text) >= len(labels):
            raise ValueError(
                f"label={text} is not a class: they are numbered 0 to {len(labels) - 1}"
            )
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
        raise ValueError(f"label={wanted} matches several classes: {names}{more}; name one of them")
    near = nearest(name, folded)
    raise ValueError(
        f"label={wanted} is not a class of this classifier; "
        + (
            f"did you mean {labels[folded.index(near)]}?"
            if near
            else f"it has {len(labels)}, such as {labels[0]}"
        )
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


def fold_normalisations(network: nn.Module, example: Tensor) -> int:
    """Fold every BatchNorm2d into the convolution it follows, which in eval mode is the same function.

    Which normalisation reads which convolution is observed in a forward pass of `example`, so this works for
    any network; one that reads anything else, or runs twice, is left alone. The network, in eval mode and
    float32, is changed in place. Returns how many were folded.

    Raises:
        RuntimeError: the folded network predicts something else.
    """
    pairs = _pairs(network, example)
    with torch.inference_mode():
        before = network(example)
    names = {module: name for name, module in network.named_modules()}
    for convolution, normalisation in pairs:
        _replace(network, names[convolution], fuse_conv_bn_eval(convolution, normalisation))
        _replace(network, names[normalisation], nn.Identity())
    with torch.inference_mode():
        after = network(example)
    # `not <=` instead of `>`: a NaN must not pass.
    if not (before - after).abs().max() <= TOLERANCE * before.abs().max():
        raise RuntimeError("folding batch normalisations changed what the network predicts")
    return len(pairs)


def _pairs(network: nn.Module, example: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions and the normalisations that read their output; each of them runs exactly once."""
    # Outputs are recognised by identity. Holding the tensors keeps Python from reusing an id, and the version
    # shows whether an in-place operation, such as ReLU(inplace=True), has written to one since.
    produced: dict[int, tuple[Tensor, int, nn.Conv2d]] = {}
    calls: dict[nn.Module, int] = {}
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def observe(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls[module] = calls.get(module, 0) + 1
        if isinstance(module, nn.Conv2d):
            produced[id(output)] = (output, output._version, module)
        elif isinstance(module, nn.BatchNorm2d) and id(inputs[0]) in produced:
            tensor, version, convolution = produced[id(inputs[0])]
            if tensor._version == version:
                found.append((convolution, module))

    wanted = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    hooks = [module.register_forward_hook(observe) for module in wanted]
    try:
        # Not inference_mode: its tensors have no version.
        with torch.no_grad():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    followers = [convolution for convolution, _ in found]
    return [
        (convolution, normalisation)
        for convolution, normalisation in found
        if followers.count(convolution) == calls[convolution] == calls[normalisation] == 1
    ]


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
