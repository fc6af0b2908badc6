"""The launcher behind `qa-research sanity`: a training's config is composed, checked, and tried."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import hydra
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from qa_research.console import Screen, start_logging
from qa_research.launch.compose import checked, taken_out
from qa_research.launch.conf import hydra_initialized
from qa_research.launch.overrides import OF_SWEEPS, check_overrides, overrides_in
from qa_research.launch.refusals import plain_sentence
from qa_research.launch.words import readable_words
from qa_research.signals import one_sentence
from qa_research.text import print_json
from qa_research.threads import use_threads


def composed_training(overrides: Sequence[str]) -> dict[str, Any]:
    """The checked config of `qa-research train` with these overrides.

    Raises:
        ValueError: they cannot be composed, or a value is not allowed; in one sentence.
    """
    words = readable_words(overrides)
    for word in overrides_in(words):
        if word.lstrip("+").partition("=")[0] in OF_SWEEPS:
            raise ValueError(f"sanity checks one training, not a sweep; remove {word}")
    try:
        parser = OverridesParser.create()
        for word in words:
            if parser.parse_override(word).is_sweep_override():
                raise ValueError(
                    f"sanity checks one training, not a sweep; {word} names several values"
                )
        check_overrides(words, "train")
        with hydra_initialized():
            config = hydra.compose("train", list(words))
        taken_out(config, "stacks")
        return checked(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(plain_sentence(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"a config cannot be read: {one_sentence(error)}") from error


def launch(overrides: Sequence[str], as_json: bool) -> int:
    """Check the training that the overrides ask for; 0: nothing is red, 1: something is.

    Raises:
        ValueError, OSError: the training cannot be set up.
    """
    started = time.monotonic()
    start_logging()
    config = composed_training(overrides)
    # Torch, Lightning and transformers take seconds to import.
    from qa_research.sanity.sanity import examine, lay_out
    from qa_research.sanity.show import show_check, show_end, show_examples, shown_examples

    use_threads(config["train"]["threads"])
    bench = lay_out(config)
    # With --json what comes out is JSON only, and the lines are progress.
    screen = Screen(stderr=as_json)
    found = []
    for one in examine(bench):
        show_check(one, screen)
        found.append(one)
    is_red = any(one.found.verdict == "red" for one in found)
    seconds = time.monotonic() - started
    rows = shown_examples(bench)
    if as_json:
        checks = [one.as_json() for one in found]
        print_json(
            {
                "ok": not is_red,
                "seconds": round(seconds, 1),
                "checks": checks,
                "rows": list(map(asdict, rows)),
            }
        )
    else:
        show_examples(rows, screen)
    show_end(found, seconds, screen)
    return 1 if is_red else 0
