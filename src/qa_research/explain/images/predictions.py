"""A classifier's predictions for masked pictures, cached on disk by the hash of all that decides them."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from qa_research.caches import DamagedError, content_bytes, warn_damaged, written_checked
from qa_research.explain.images.classifier import ImageClassifier
from qa_research.explain.images.segments import Pixels, Segments

MOST_CACHED_BYTES = 1_000_000_000
FORMAT = "predictions-2"
# Masks per file of the cache: about a second of prediction on a CPU.
BLOCK = 128


# Called with how many more pictures have been predicted.
Tick = Callable[[int], None]


class MaskedPicture:
    """A picture whose segments can be switched off, and one classifier.

    `off`: what replaces a segment that is off. `cache`: a folder, or None. `predicted` and `found` count the
    masks that were computed and those that were in the cache.
    """

    def __init__(
        self,
        classifier: ImageClassifier,
        pixels: Pixels,
        off: Float[ndarray, "height width 3"],
        segments: Segments,
        cache: Path | None,
    ) -> None:
        self.classifier = classifier
        self.pixels = pixels
        self.off = off
        self.segments = segments
        self.n_segments = int(segments.max()) + 1
        self.predicted = 0
        self.found = 0
        self._cache = cache
        self._on = classifier.prepared(pixels)
        self._off = classifier.prepared(off)
        self._number = torch.from_numpy(segments.astype(np.int64)).to(self._on.device)
        digest = hashlib.sha256(FORMAT.encode())
        for part in (
            (classifier.name, classifier.fingerprint, classifier.precision, classifier.batch_size),
            (classifier.preprocessing, classifier.device, torch.__version__),
        ):
            digest.update(repr(part).encode())
        for array in (pixels, off, segments):
            digest.update(repr((array.shape, array.dtype.str)).encode() + array.tobytes())
        self._digest = digest

    def predictions(
        self, masks: Bool[ndarray, "mask segment"], tick: Tick | None = None
    ) -> Float[ndarray, "mask label"]:
        """Probabilities of all classes for each mask, in batches of the classifier's size.

        They are cached in blocks of masks. So a result never depends on what was asked before, and what was
        interrupted continues where it stopped.
        """
        blocks = [masks[i : i + BLOCK] for i in range(0, len(masks), BLOCK)]
        return np.concatenate([self._block(block, tick) for block in blocks])

    def in_float32(self) -> Self | None:
        """The same picture and the same network in float32; None if this one is."""
        classifier = self.classifier.in_float32()
        if classifier is None:
            return None
        return type(self)(classifier, self.pixels, self.off, self.segments, self._cache)

    def _block(
        self, masks: Bool[ndarray, "mask segment"], tick: Tick | None
    ) -> Float[ndarray, "mask label"]:
        path = self._cache_path(masks)
        if path is not None and (cached := _read(path, len(masks))) is not None:
            self.found += len(masks)
            if tick:
                tick(len(masks))
            return cached
        parts = []
        for batch in self._batches(masks):
            parts.append(self.classifier.predict(batch))
            if tick:
                tick(len(batch))
        self.predicted += len(masks)
        result = np.concatenate(parts)
        if path is not None:
            _write(path, result)
        return result

    def _batches(self, masks: Bool[ndarray, "mask segment"]) -> Iterator[torch.Tensor]:
        size = self.classifier.batch_size
        switches = torch.from_numpy(masks).to(self._on.device)
        for start in range(0, len(masks), size):
            # [batch, segment] indexed by the map of numbers: [batch, height, width], then a channel axis.
            on = switches[start : start + size][:, self._number][:, None]
            yield torch.where(on, self._on, self._off)

    def _cache_path(self, masks: Bool[ndarray, "mask segment"]) -> Path | None:
        if self._cache is None:
            return None
        digest = self._digest.copy()
        digest.update(repr(masks.shape).encode() + np.packbits(masks).tobytes())
        return self._cache / "predictions" / f"{digest.hexdigest()[:24]}.npy"


def _read(path: Path, n: int) -> Float[ndarray, "mask label"] | None:
    """What is cached; None if nothing is, or the file is truncated."""
    try:
        content_bytes(path)
        found: ndarray = np.load(path, allow_pickle=False)
        os.utime(path)
    except (FileNotFoundError, PermissionError):
        return None
    except DamagedError as error:
        warn_damaged(path, "predictions", error)
        return None
    return found if found.ndim == 2 and len(found) == n else None


def _write(path: Path, result: Float[ndarray, "mask label"]) -> None:
    """Cache a block, and delete those unused for longest if all together exceed a gigabyte."""
    with written_checked(path) as file:
        np.save(file, result, allow_pickle=False)
    with os.scandir(path.parent) as entries, suppress(FileNotFoundError):
        # If another process deletes one at the same time, the next writer cleans up.
        files = [
            (e.stat().st_mtime, e.stat().st_size, e.path)
            for e in entries
            if e.name.endswith(".npy")
        ]
        total = 0
        for _, size, other in sorted(files, reverse=True):
            total += size
            if total > MOST_CACHED_BYTES and other != str(path):
                os.unlink(other)
