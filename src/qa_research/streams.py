"""Named random streams: every use of randomness has a name, so that none disturbs another."""

import hashlib

import numpy as np


def stream_seed(seed: int, name: str, *index: int) -> int:
    """A 64-bit seed that depends on `seed`, `name` and `index`, the same on every machine."""
    text = "/".join([str(seed), name, *map(str, index)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def stream(seed: int, name: str, *index: int) -> np.random.Generator:
    """A separate generator for one purpose, such as `stream(seed, "order", epoch)`."""
    return np.random.default_rng(stream_seed(seed, name, *index))
