"""A model of the hub as a directory on this machine: from its cache if it is there, and else downloaded."""

import logging
import re
from pathlib import Path

from qa_research.model.folder import CONFIG, TOKENIZER, missing_weights
from qa_research.model.weights import first_line

log = logging.getLogger(__name__)
HUB_ID = re.compile(r"(?:[\w.-]+/)?[\w.-]+")
# Small: all but the weights. The model card says what it was trained on.
_SMALL = ("*.json", "*.txt", "*.model", "README.md")
# Each in one file or several. A pickle is only fetched where there is nothing else.
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
_CACHED_SHOWN = 5


def cached_model(name: str) -> Path | None:
    """The directory of a hub id in this machine's cache; None if it is not there, or not whole."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        found = Path(snapshot_download(name, local_files_only=True))
    except (OSError, HFValidationError):
        return None
    is_whole = (
        (found / CONFIG).is_file()
        and missing_weights(found) is None
        and any((found / file).is_file() for file in TOKENIZER)
    )
    return found if is_whole else None


def fetched_model(name: str) -> Path:
    """The directory of a hub id. Nothing is asked of the hub if it is in the cache.

    Raises:
        FileNotFoundError: it is not in the cache and could not be fetched; the message says what works.
    """
    if found := cached_model(name):
        log.info("%s is taken from this machine's cache (version %s)", name, found.name[:8])
        return found
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    log.info("Asking the hub for %s (offline, this takes half a minute to fail)", name)
    try:
        place = Path(snapshot_download(name, allow_patterns=list(_SMALL)))
        for pattern in _WEIGHTS:
            if not any(any(place.glob(pattern)) for pattern in _WEIGHTS):
                place = Path(snapshot_download(name, allow_patterns=[pattern]))
    except (OSError, HFValidationError) as error:
        raise FileNotFoundError(
            f"{name} could not be fetched from the hub ({_reason(error)}). {_works_without()}"
        ) from error
    return place


def _reason(error: Exception) -> str:
    """The first sentence of a message of several, which goes on with advice for programmers."""
    return first_line(error).split(". ")[0]


def _works_without() -> str:
    """What can be named offline, as a sentence."""
    from huggingface_hub.constants import HF_HUB_CACHE

    cached = sorted(
        path.name.removeprefix("models--").replace("--", "/")
        for path in Path(HF_HUB_CACHE).glob("models--*/")
    )
    shown = ", ".join(cached[:_CACHED_SHOWN]) + (", ..." if len(cached) > _CACHED_SHOWN else "")
    return (
        "These work offline: a run, a model's directory, and what is in the hub's cache "
        f"({HF_HUB_CACHE}: {shown or 'nothing'})"
    )
