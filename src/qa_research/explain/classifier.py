"""Image classifiers: built without touching a library's model, ready to predict many pictures."""

import difflib
import functools
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from qa_research.explain.classifier_weights import fill, load_weights, published_weights
from qa_research.explain.folding import fold_normalisations
from qa_research.explain.labels import imagenet_labels, read_labels
from qa_research.explain.picture import Fit, Interpolation, fitted
from qa_research.model.weights import weights_fingerprint

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a network's input: (x - mean) / std of values from 0 to 1, by channel."""

    size: int
    resize: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class ImageClassifier:
    """A network in eval mode with what belongs to it. `predict` is all that explaining needs."""

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
        # Of the weights as they were read, whatever they are computed in.
        self.fingerprint = weights_fingerprint(network)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._dtype = getattr(torch, precision)
        network.eval()
        example = torch.rand(2, 3, self.size, self.size, generator=torch.Generator().manual_seed(0))
        fold_normalisations(network, example)
        moved = network.to(self.device, self._dtype)
        # The order in memory that convolutions are fastest in.
        self._network = moved.to(memory_format=torch.channels_last)

    @property
    def size(self) -> int:
        """Pixels a side of what the network sees."""
        return self.preprocessing.size

    def seen(self, pixels: UInt8[ndarray, "height width 3"]) -> UInt8[ndarray, "size size 3"]:
        """The part of a picture, and the size, that the network sees."""
        wish = self.preprocessing
        return fitted(pixels, wish.size, wish.resize, self.fit, wish.interpolation)

    def prepared(self, pixels: ndarray) -> Float[Tensor, "3 size size"]:
        """The network's input for pixels of 0 to 255, on its device, in its precision."""
        wish = self.preprocessing
        scaled = (pixels / 255 - np.array(wish.mean)) / np.array(wish.std)
        moved = torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))
        return moved.to(self.device, self._dtype)

    def described(self) -> dict[str, Any]:
        """What it is, in plain values."""
        return {
            "name": self.name,
            "weights": self.weights,
            "fingerprint": self.fingerprint,
            "classes": len(self.labels),
            "size": self.size,
            "fit": self.fit,
            "precision": self.precision,
            "device": self.device,
        }

    @torch.inference_mode()
    def predict(self, batch: Float[Tensor, "n 3 size size"]) -> Float[ndarray, "n label"]:
        """Probabilities of all classes, in float32, for prepared pictures.

        Raises:
            ValueError: the network gives another number of classes than there are labels.
        """
        output = self._network(batch.contiguous(memory_format=torch.channels_last))
        if output.ndim != 2 or output.shape[1] != len(self.labels):
            raise ValueError(
                f"{self.name} gives {tuple(output.shape)[1:]} outputs, but there are "
                f"{len(self.labels)} labels"
            )
        return np.asarray(output.float().softmax(dim=1).cpu().numpy())


class EfficientNetLite0(ImageClassifier):
    """EfficientNet-Lite0 on ImageNet; its 17 MB of weights come with the extra `offline`.

    `weights`: package:NAME/PATH, or a file of a state dict. `batch_size`: what was fastest on a CPU.
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
        # Its authors' (255 x - 127) / 128.
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
    cache, or a file of a state dict. `labels`: a file of class names, null for those of the enumeration's
    entry. Preprocessing is that of the enumeration's entry, or of its default one beside a file.
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
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
        raise ValueError(
            f"torchvision has no classifier {name}"
            + (f"; did you mean {' or '.join(near)}?" if near else f"; it has {', '.join(names)}")
        )
    return name


def _skeleton(name: str, n_labels: int, size: int) -> torch.nn.Module:
    """The network without weights, for pictures of this size where it is built for one."""
    from torchvision.models import get_model

    more: dict[str, Any] = {}
    if name.startswith("vit_"):
        more = {"image_size": size}
    # These two expect (x - 0.5) * 2, and turn ImageNet's scale into it.
    if name in ("inception_v3", "googlenet"):
        more = {"transform_input": True, "init_weights": False, "aux_logits": True}
    network: torch.nn.Module = get_model(name, weights=None, num_classes=n_labels, **more)
    return network


def _preprocessing(published: Any) -> Preprocessing:
    wish = published.transforms
    if isinstance(wish, functools.partial):
        wish = wish()
    return Preprocessing(
        size=wish.crop_size[0],
        resize=wish.resize_size[0],
        interpolation="bicubic" if wish.interpolation.value == "bicubic" else "bilinear",
        mean=tuple(wish.mean),
        std=tuple(wish.std),
    )
