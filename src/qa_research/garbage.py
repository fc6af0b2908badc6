"""When Python looks for objects that nothing refers to: not while a program starts, and not when it ends.

Importing transformers makes some 700,000 objects that are all kept. Looking through them again and again took
a fifth of the time until an answer, and once more when the program ended.
"""

import atexit
import gc

# More new objects than all modules of a verb make together.
STARTING = 1_000_000
_usual: list[tuple[int, int, int]] = []


def start_quickly() -> None:
    """Of a program that was just started: search only after very many new objects, and not at its end."""
    if _usual:
        return
    _usual.append(gc.get_threshold())
    gc.set_threshold(STARTING, *_usual[0][1:])
    atexit.register(gc.freeze)


def has_started() -> None:
    """From here on search as usual, but never again among what is there by now.

    To be called before work that lasts, after `start_quickly`; otherwise nothing changes.
    """
    if _usual:
        gc.freeze()
        gc.set_threshold(*_usual.pop())
