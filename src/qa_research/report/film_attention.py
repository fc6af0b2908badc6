"""A film's attention: which captures are kept, and each weight as one byte. Pure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

# One byte a weight; in base64 a third more, so that a page stays below about 15 MB.
ATTENTION_BYTES = 10_000_000
NOT_A_NUMBER = 255
FULL = 254


@dataclass(frozen=True)
class FilmAttention:
    """Attention weights of the kept captures, as bytes.

    `weights` [step, layer, head, query, key]: byte b stands for the weight (b / 254)^2, which is
    off by at most 0.4 percentage points near 100 % and 0.02 near 0.3 %; 255 is not a number.
    `layers` are the numbers of the recorded layers. `note` says what was left out; empty: nothing.
    """

    steps: NDArray[np.int64]
    layers: tuple[int, ...]
    weights: NDArray[np.uint8]
    note: str

    @property
    def n_heads(self) -> int:
        """Heads a layer."""
        return int(self.weights.shape[2])


@dataclass(frozen=True)
class FilmHeads:
    """How sharp each head's attention is: `entropy` in nats, `distance` in tokens, both
    [step, layer, head], means over the window's query tokens.
    """

    steps: NDArray[np.int64]
    layers: tuple[int, ...]
    entropy: NDArray[np.float64]
    distance: NDArray[np.float64]


def film_attention(
    attention: "xr.Dataset", index: int, n_tokens: int, max_bytes: int
) -> FilmAttention:
    """Question `index`'s attention, at evenly chosen captures where all of them exceed `max_bytes`.

    Raises:
        ValueError: the window has other than `n_tokens` tokens.
    """
    _check_tokens(attention, "attention", index, n_tokens)
    sizes = attention["weight"].sizes
    n_captures = sizes["step"]
    capture_bytes = sizes["layer"] * sizes["head"] * n_tokens**2
    kept = evenly_chosen(n_captures, max_bytes // capture_bytes)
    window = slice(n_tokens)
    chosen = attention["weight"].isel(question=index, query=window, key=window)
    weights = np.zeros((len(kept), sizes["layer"], sizes["head"], n_tokens, n_tokens), np.uint8)
    for position, capture in enumerate(kept):
        weight = chosen.isel(step=capture).transpose("layer", "head", "query", "key")
        weights[position] = as_bytes(weight.to_numpy())
    return FilmAttention(
        steps=attention["step"].to_numpy()[kept].astype(np.int64),
        layers=tuple(int(layer) for layer in attention["layer"].to_numpy()),
        weights=weights,
        note=_note(len(kept), n_captures, capture_bytes),
    )


def film_heads(heads: "xr.Dataset", index: int, n_tokens: int) -> FilmHeads:
    """Question `index`'s entropy and distance of every head.

    Raises:
        ValueError: the window has other than `n_tokens` tokens.
    """
    _check_tokens(heads, "heads", index, n_tokens)
    chosen = heads.isel(question=index)
    entropy, distance = (
        chosen[name].transpose("step", "layer", "head").to_numpy().astype(np.float64)
        for name in ("entropy", "distance")
    )
    return FilmHeads(
        steps=heads["step"].to_numpy().astype(np.int64),
        layers=tuple(int(layer) for layer in heads["layer"].to_numpy()),
        entropy=entropy,
        distance=distance,
    )


def as_bytes(weight: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Attention weights in [0, 1] as `FilmAttention` keeps them.

    The square root gives small weights, which most are, the larger part of the bytes.
    """
    missing = ~np.isfinite(weight)
    roots = np.sqrt(np.where(missing, 0, weight).astype(np.float32).clip(0, 1))
    return np.where(missing, NOT_A_NUMBER, np.rint(FULL * roots)).astype(np.uint8)


def as_weights(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What `as_bytes` took, as near as bytes can say."""
    return np.where(codes == NOT_A_NUMBER, np.nan, (codes / FULL) ** 2)


def evenly_chosen(n: int, at_most: int) -> NDArray[np.int64]:
    """At most `at_most` of the indices 0..n-1, evenly, with the last and, from two on, the first."""
    if at_most >= n:
        return np.arange(n)
    if at_most <= 1:
        return np.arange(n)[n - max(at_most, 0) :]
    return np.unique(np.rint(np.linspace(0, n - 1, at_most)).astype(np.int64))


def _note(n_kept: int, n_captures: int, capture_bytes: int) -> str:
    if n_captures == 0:
        return "No attention was captured yet."
    if n_kept == n_captures:
        return ""
    why = f"one capture of it takes {capture_bytes / 1e6:.1f} MB, and the page is to stay small"
    if n_kept == 0:
        return f"Attention was recorded, but is left out here: {why}."
    if n_kept == 1:
        return f"Attention is here for the last of {n_captures} captures alone: {why}."
    return f"Attention is here for {n_kept} of {n_captures} captures, evenly chosen: {why}."


def _check_tokens(group: "xr.Dataset", name: str, index: int, n_tokens: int) -> None:
    found = int(group["tokens"][index])
    if found != n_tokens:
        raise ValueError(
            f"question number {index} has {found} tokens in {name}, but {n_tokens} in logits"
        )
