"""What lime_speed.py compares: ours, the package `lime`, and captum's Lime."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qa_research.explain.images.classifier import EfficientNetLite0, Precision
from qa_research.explain.images.predictions import MaskedPicture
from qa_research.explain.images.segments import Pixels, Segments
from qa_research.explain.images.weights import PACKAGED, load_weights
from qa_research.explain.surrogate import (
    Fit,
    Predict,
    distance_weights,
    draw_masks,
    lime,
    weighted_r2,
)
from qa_research.stats import ranked
from qa_research.streams import stream

TOP = 4
GREY = 127
# Number of masks and seed -> the top segments.
Contestant = Callable[[int, int], list[int]]


def by_us(pixels: Pixels, segments: Segments, precision: str, batch: int) -> Contestant:
    return _by_us(masked_picture(pixels, segments, precision, batch), lime)


def by_us_with_scikit_learn(
    pixels: Pixels, segments: Segments, precision: str, batch: int
) -> Contestant:
    """Ours as it was before captum fitted the surrogate."""
    from sklearn.linear_model import Ridge

    def predict_and_fit(
        predict: Predict, masks: NDArray[np.bool_], weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], Fit]:
        outputs = predict(masks)
        design = masks.astype(np.float64)
        model = Ridge(alpha=1.0).fit(design, outputs, sample_weight=weights)
        r2 = weighted_r2(outputs, model.predict(design), weights)
        return outputs, Fit(model.coef_, float(model.intercept_), r2)

    return _by_us(masked_picture(pixels, segments, precision, batch), predict_and_fit)


def _by_us(masked: MaskedPicture, predict_and_fit: Callable[..., Any]) -> Contestant:
    def run(n: int, seed: int) -> list[int]:
        def predict(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
            outputs = masked.predictions(masks)
            return outputs[:, outputs.mean(axis=0).argmax()].astype(np.float64)

        masks = draw_masks(n, masked.n_segments, stream(seed, "lime"))
        _, fit = predict_and_fit(predict, masks, distance_weights(masks, 0.25))
        return top_segments(fit.coefficients)

    return run


def by_lime(pixels: Pixels, segments: Segments, batch: int) -> Contestant:
    from lime.lime_image import LimeImageExplainer

    predict = _as_users_write_it()

    def run(n: int, seed: int) -> list[int]:
        found = LimeImageExplainer(random_state=seed, verbose=False).explain_instance(
            pixels,
            predict,
            top_labels=1,
            hide_color=GREY,
            num_samples=n,
            batch_size=batch,
            segmentation_fn=lambda _: segments,
        )
        coefficients = dict(found.local_exp[found.top_labels[0]])
        return top_segments(np.array([coefficients[i] for i in range(len(coefficients))]))

    return run


def by_captum(pixels: Pixels, segments: Segments, batch: int) -> Contestant:
    from captum._utils.models.linear_model import SkLearnRidge
    from captum.attr import Lime

    masked = masked_picture(pixels, segments, "float32", batch)
    classifier, network = masked.classifier, _plain_network()
    inputs = classifier.prepared(pixels)[None]
    baselines = classifier.prepared(masked.off)[None]
    number = torch.from_numpy(segments.astype(np.int64))[None, None]
    label = int(classifier.predict(inputs)[0].argmax())

    def similarity(_: Any, __: Any, mask: torch.Tensor, **___: Any) -> torch.Tensor:
        return torch.tensor(distance_weights(mask.numpy().astype(bool), 0.25)[0])

    def run(n: int, seed: int) -> list[int]:
        torch.manual_seed(seed)
        method = Lime(
            lambda x: network(x).softmax(dim=1),
            interpretable_model=SkLearnRidge(alpha=1.0),
            similarity_func=similarity,
        )
        found = method.attribute(
            inputs,
            baselines=baselines,
            target=label,
            feature_mask=number,
            n_samples=n,
            perturbations_per_eval=batch,
            return_input_shape=False,
        )
        return top_segments(found[0].numpy())

    return run


def _as_users_write_it() -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The network as its package builds it, as users of lime pass it."""
    network = _plain_network()

    def predict(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad():
            x = torch.from_numpy(np.asarray(pictures)).permute(0, 3, 1, 2).float()
            return np.asarray(network((x - 127) / 128).softmax(dim=1).numpy())

    return predict


def _plain_network() -> Any:
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(load_weights(PACKAGED))
    return network.eval()


def masked_picture(pixels: Pixels, segments: Segments, precision: str, batch: int) -> MaskedPicture:
    chosen: Precision = "float32" if precision == "float32" else "bfloat16"
    classifier = EfficientNetLite0(PACKAGED, chosen, batch, "squash")
    return MaskedPicture(classifier, pixels, np.full(pixels.shape, float(GREY)), segments, None)


def top_segments(coefficients: NDArray[np.float64]) -> list[int]:
    return [int(i) for i in ranked(coefficients)[:TOP]]
