"""Named streams of randomness: every use of chance has a name, so none can disturb another."""

import hashlib

import numpy as np


def stream_seed(seed: int, name: str, *index: int) -> int:
    """A 64-bit seed that depends on all of `seed`, `name` and `index`, equal on every machine."""
    text = "/".join([str(seed), name, *map(str, index)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def stream(seed: int, name: str, *index: int) -> np.random.Generator:
    """A generator of its own for one purpose, such as `stream(seed, "order", epoch)`."""
    return np.random.default_rng(stream_seed(seed, name, *index))
