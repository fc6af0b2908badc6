"""Whether a network knows how sure it may be: its confidence beside how often it is right.

For any task that chooses one of several labels. Pure: logits, or confidences and what was right, in;
numbers out. A confidence is the probability of the label that was chosen, so a network that says 0.9 ought
to be right in nine of ten cases. All errors are shares, in [0, 1].
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.fft import dct, idct
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from qa_research.streams import stream
from qa_research.text import plural, singular

BINS = 15
# Of [0, 1], on which residuals are smoothed; half a cell is the largest error of a confidence.
CELLS = 1024
# Halvings until the width of smoothing is known to a thousandth of a point.
HALVINGS = 17
# Perfectly calibrated networks that are simulated for the floor of an error.
SIMULATED = 500
# Further from 1 a temperature says nothing but "certain" or "no idea".
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.05, 20.0

Logits = Float[ndarray, "example label"]
Labels = Int[ndarray, " example"]
Values = Float[ndarray, " example"]


@dataclass(frozen=True)
class Floor:
    """What an error reads for a perfectly calibrated network with the same confidences.

    `median`, and `high`: more than that reads one in twenty. An error below `high` shows no miscalibration.
    """

    median: float
    high: float


@dataclass(frozen=True)
class AtTemperature:
    """Errors after logits are divided by a temperature that was fitted on other examples."""

    temperature: float
    smooth_error: float
    brier: float
    loss: float


@dataclass(frozen=True)
class Calibration:
    """How far confidences are from being right, over `total` examples.

    `overconfidence`: mean confidence minus accuracy. `smooth_error` and `binned_error` with their floors.
    `brier`: the mean squared distance of confidence from right (1) or wrong (0). `loss` in nats.
    """

    total: int
    accuracy: float
    confidence: float
    smooth_error: float
    smooth_floor: Floor
    binned_error: float
    binned_floor: Floor
    brier: float
    loss: float
    at_temperature: "AtTemperature | None"

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy; below zero: it is right more often than it says."""
        return self.confidence - self.accuracy

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"overconfidence": self.overconfidence}

    def lines(self, examples: str) -> list[str]:
        """What a person should know of it; `examples`: what they are called."""
        points = 100 * self.overconfidence
        lean = f"too sure by {points:.1f}" if points >= 0 else f"not sure enough by {-points:.1f}"
        lines = [
            f"Confidence {100 * self.confidence:.1f} % on average, accuracy {100 * self.accuracy:.1f} %: "
            f"{lean} points",
            f"Smooth calibration error {_with_floor(self.smooth_error, self.smooth_floor)}",
            f"In {BINS} bins {_with_floor(self.binned_error, self.binned_floor)}",
            f"Brier score {self.brier:.4f}, loss {self.loss:.4f} nats, over "
            f"{plural(self.total, singular(examples))}",
        ]
        if (at := self.at_temperature) is not None:
            lines.append(
                f"With temperature {at.temperature:.2f}, fitted on others: smooth calibration error "
                f"{100 * at.smooth_error:.1f} points, Brier score {at.brier:.4f}, loss {at.loss:.4f} nats"
            )
        return lines


def calibration(logits: Logits, labels: Labels, temperature: float | None) -> Calibration:
    """All of it, for one network; `temperature`: None if none was fitted.

    Raises:
        ValueError: no examples.
    """
    if not len(labels):
        raise ValueError("the calibration of no examples is not defined")
    confidence, right = confidence_of(logits, labels)
    # Each row is what would be right if every confidence were true.
    draws = stream(0, "calibration").random((SIMULATED, len(confidence)))
    simulated = (draws < confidence).astype(np.float64)
    return Calibration(
        total=len(labels),
        accuracy=float(right.mean()),
        confidence=float(confidence.mean()),
        smooth_error=smooth_calibration_error(confidence, right),
        smooth_floor=_floor(_smooth_errors(confidence, simulated)),
        binned_error=binned_calibration_error(confidence, right),
        binned_floor=_floor(_binned_errors(confidence, simulated)),
        brier=float(np.square(confidence - right).mean()),
        loss=log_loss(logits, labels),
        at_temperature=None if temperature is None else _at(temperature, logits, labels),
    )


def confidence_of(logits: Logits, labels: Labels) -> tuple[Values, Values]:
    """The probability of each chosen label, and whether it was right (1) or not (0)."""
    right = (logits.argmax(axis=1) == labels).astype(np.float64)
    return softmax(logits, axis=1).max(axis=1), right


def log_loss(logits: Logits, labels: Labels) -> float:
    """The mean negative log-likelihood of the true labels, in nats."""
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: Logits, labels: Labels) -> float:
    """The number by which logits are divided so that their likelihood is largest; above 1: too sure.

    It changes no prediction. Fit it on examples that are neither trained on nor scored. The true label counts
    as (n + 1) / (n + k) true, where n examples have it of k labels: without that, examples that are all right
    would have a temperature of 0.

    Raises:
        ValueError: no examples.
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks; Platt 1999, Probabilistic Outputs for
        Support Vector Machines, section 2.2, for the targets.
    """
    if not len(labels):
        raise ValueError("a temperature cannot be fitted on no examples")
    kinds = logits.shape[1]
    have_it = np.bincount(labels, minlength=kinds)[labels]
    # Of 3 examples with label 1 and 2 labels: 4/5 for label 1, and 1/5 for label 0.
    targets = np.repeat((1 / (have_it + kinds))[:, None], kinds, axis=1)
    targets[np.arange(len(labels)), labels] = (have_it + 1) / (have_it + kinds)

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-(targets * scaled).sum(axis=1).mean())

    ends = (np.log(LEAST_TEMPERATURE), np.log(MOST_TEMPERATURE))
    return float(np.exp(minimize_scalar(loss, bounds=ends, method="bounded").x))


def binned_calibration_error(confidence: Values, right: Values) -> float:
    """The distance of mean confidence from the share of right answers, in BINS equal bins of [0, 1].

    Of few examples it is far above 0 even of a perfect network, see `Floor`, and it jumps where a confidence
    crosses the border of a bin.

    Source: Naeini, Cooper & Hauskrecht 2015, Obtaining Well Calibrated Probabilities Using Bayesian Binning.
    """
    return float(_binned_errors(confidence, right[None])[0])


def smooth_calibration_error(confidence: Values, right: Values) -> float:
    """The mean distance of smoothed confidence from smoothed right answers, which needs no bins.

    Residuals are smoothed by a Gaussian kernel that is reflected at 0 and 1, whose width equals the error
    that is found with it: wide where examples are few. It changes little if confidences change little.

    Source: Błasiok & Nakkiran 2023, Smooth ECE: Principled Reliability Diagrams via Kernel Smoothing,
        arXiv 2309.12236. Their package relplot 1.0.3 sums over 200 points and counts the ends in full, so it
        reads up to a tenth more where many confidences are close to 1; see tests/test_calibration.py.
    """
    return float(_smooth_errors(confidence, right[None])[0])


@dataclass(frozen=True)
class Reliability:
    """The curve of a reliability diagram: where `confidence` is so large, this share was `right`.

    `density`: how many examples have about that confidence, its integral being 1. `width`: of the smoothing,
    which is `smooth_calibration_error`.
    """

    confidence: Float[ndarray, " cell"]
    right: Float[ndarray, " cell"]
    density: Float[ndarray, " cell"]
    width: float


def reliability(confidence: Values, right: Values) -> Reliability:
    """Kernel regression of right answers on confidence, with the width of `smooth_calibration_error`."""
    width = smooth_calibration_error(confidence, right)
    place = _cells(confidence)
    masses = np.stack([np.bincount(place, row, CELLS) for row in (np.ones_like(right), right)])
    # A perfect network has no error; a width of one cell still draws it.
    density, of_right = _smoothed(dct(masses, norm="ortho"), np.full(2, max(width, 1 / CELLS)))
    share = np.divide(of_right, density, out=np.full(CELLS, np.nan), where=density > 1e-9)
    middles = (np.arange(CELLS) + 0.5) / CELLS
    return Reliability(middles, share, density * CELLS / len(right), width)


def _at(temperature: float, logits: Logits, labels: Labels) -> AtTemperature:
    confidence, right = confidence_of(logits / temperature, labels)
    return AtTemperature(
        temperature,
        smooth_calibration_error(confidence, right),
        float(np.square(confidence - right).mean()),
        log_loss(logits / temperature, labels),
    )


def _with_floor(error: float, floor: Floor) -> str:
    """An error beside what it reads where there is none."""
    verdict = "no more than chance" if error <= floor.high else "more than chance"
    return (
        f"{100 * error:.1f} points: {verdict} (a perfectly calibrated network reads "
        f"{100 * floor.median:.1f}, one in twenty above {100 * floor.high:.1f})"
    )


def _smooth_errors(
    confidence: Values, right: Float[ndarray, "draw example"]
) -> Float[ndarray, " draw"]:
    """The smooth error for each of several outcomes of the same confidences."""
    place, total = _cells(confidence), right.shape[1]
    residuals = (right - confidence) / total
    waves = dct(np.stack([np.bincount(place, row, CELLS) for row in residuals]), norm="ortho")
    # The error falls as the width grows, so there is one width that equals it: halve where it must be.
    low, high = np.zeros(len(right)), np.ones(len(right))
    for _ in range(HALVINGS):
        width = (low + high) / 2
        is_below = np.abs(_smoothed(waves, width)).sum(axis=1) < width
        low, high = np.where(is_below, low, width), np.where(is_below, width, high)
    return (low + high) / 2


def _smoothed(
    waves: Float[ndarray, "draw cell"], width: Float[ndarray, " draw"]
) -> Float[ndarray, "draw cell"]:
    """Masses of cells, given by their cosine transform, after a Gaussian reflected at both ends.

    Reflection makes what is smoothed a sum of cosines, and a Gaussian of width s scales cos(pi k t) by
    exp(-(pi k s)^2 / 2).
    """
    frequencies = np.pi * np.arange(CELLS)
    found: Float[ndarray, "draw cell"] = idct(
        waves * np.exp(-np.square(frequencies * width[:, None]) / 2), norm="ortho"
    )
    return found


def _binned_errors(
    confidence: Values, right: Float[ndarray, "draw example"]
) -> Float[ndarray, " draw"]:
    """The binned error for each of several outcomes of the same confidences."""
    # A confidence of 1 belongs to the last bin.
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    apart = np.stack([np.bincount(bins, row, BINS) for row in confidence - right])
    found: Float[ndarray, " draw"] = np.abs(apart).sum(axis=1) / right.shape[1]
    return found


def _cells(confidence: Values) -> Int[ndarray, " example"]:
    return np.minimum((confidence * CELLS).astype(np.int64), CELLS - 1)


def _floor(errors: Float[ndarray, " draw"]) -> Floor:
    median, high = np.percentile(errors, [50, 95])
    return Floor(float(median), float(high))
