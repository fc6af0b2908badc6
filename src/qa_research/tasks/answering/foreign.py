"""A model that was trained elsewhere as a TrainedAnswerer: how its windows are cut and its answers chosen.

Its directory says little of that. In this order: our own answering.json, which an export has; the lengths
that its tokenizer was last used with, which run_qa leaves in tokenizer.json; the usual values of SQuAD.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from qa_research.files import read_json, read_text
from qa_research.model.bert import longest_window
from qa_research.model.folder import TRAINER_STATE, ChosenWeights, check_model, check_tokenizer
from qa_research.model.ready import ready_network
from qa_research.model.tokenizer import load_tokenizer
from qa_research.plain import parse_yaml
from qa_research.tasks.answering.asking import ANSWERING, Asking, read_asking
from qa_research.tasks.answering.trained import TrainedAnswerer

log = logging.getLogger(__name__)
# Of BERT's original on SQuAD, and of run_qa: windows of 384 tokens that share 128.
USUAL_TOKENS, USUAL_ANSWER_TOKENS, USUAL_N_BEST = 384, 30, 20
SHARED = 3
_SECOND_VERSION = "squad_v2"


def open_foreign(
    weights: ChosenWeights, name: str, identity: str, results: Path
) -> TrainedAnswerer:
    """The network of one set of weights, on a GPU if there is one; logs how it will be asked.

    `name` and `results`: see `StoredRun`. `identity`: what no other model has.

    Raises:
        FileNotFoundError: there is no model, or no tokenizer.
        ValueError: it cannot be asked.
    """
    place, typed = weights.directory, weights.typed
    check_model(place, typed)
    tokenizer_place = check_tokenizer(place, typed)
    network = ready_network(place, typed)
    tokenizer = load_tokenizer(str(tokenizer_place), "RUN")
    known = network.get_input_embeddings().num_embeddings
    if len(tokenizer) > known:
        raise ValueError(
            f"the tokenizer of {typed} has {len(tokenizer):,} pieces, and its network has embeddings for "
            f"{known:,}; the two do not belong together"
        )
    limits = (longest_window(network.config), tokenizer.model_max_length)
    found = _how_to_ask(place, tokenizer_place, min(limit for limit in limits if limit))
    asking = found.asking
    step = asking.step if weights.step is None else weights.step
    if tokenizer_place != place:
        weights = replace(weights, note=f"{weights.note}; tokenizer of the folder above it")
    log.info("%s", _description(type(network).__name__, weights, found))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    windows = {"max_tokens": asking.max_tokens, "stride_tokens": asking.stride_tokens}
    return TrainedAnswerer(
        directory=place,
        checkpoint=place,
        step=step,
        config={"data": windows, "model": {"weights": typed}},
        record={"id": hashlib.sha256(identity.encode()).hexdigest()[:32]},
        name=name,
        results=results,
        is_run=False,
        network=network.to(device),
        tokenizer=tokenizer,
        answering=asking.settings,
    )


@dataclass(frozen=True)
class _Found:
    """How a model is asked; `windows_from` and `abstain_from`: what says so, as parts of a sentence."""

    asking: Asking
    windows_from: str
    abstain_from: str


def _how_to_ask(place: Path, tokenizer_place: Path, most: int) -> _Found:
    """How the model in `place`, which can read `most` tokens at once, is asked."""
    path = place / ANSWERING
    if path.is_file():
        return _Found(read_asking(path), f"by its {ANSWERING}", f"by its {ANSWERING}")
    window = _windows_of_tokenizer(tokenizer_place, most)
    tokens = min(USUAL_TOKENS, most)
    tokens, stride = window or (tokens, tokens // SHARED)
    evidence = _saw_unanswerable(place) or _saw_unanswerable(tokenizer_place)
    asking = Asking(
        max_tokens=tokens,
        stride_tokens=stride,
        max_answer_tokens=USUAL_ANSWER_TOKENS,
        n_best=USUAL_N_BEST,
        # None: decided by the questions, where there are any; see `TrainedAnswerer.suited_to`.
        abstain=True if evidence else None,
        null_threshold=0.0,
        step=None,
    )
    reason = "as its tokenizer was last used" if window else "by default"
    return _Found(asking, reason, evidence or "nothing says whether it learned to")


def _windows_of_tokenizer(place: Path, most: int) -> tuple[int, int] | None:
    """The length and the overlap of windows that a tokenizer last cut from a second text, as run_qa does.

    None if it cut none, or longer ones than the `most` tokens that the model can read.
    """
    path = place / "tokenizer.json"
    saved = read_json(path) if path.is_file() else {}
    used = saved.get("truncation") if isinstance(saved, dict) else None
    if not isinstance(used, dict) or used.get("strategy") != "OnlySecond":
        return None
    tokens, stride = used.get("max_length"), used.get("stride")
    if type(tokens) is not int or type(stride) is not int:
        return None
    return (tokens, stride) if 0 <= stride < tokens <= most else None


def _saw_unanswerable(place: Path) -> str | None:
    """What says that a model learned from questions without an answer, as a part of a sentence."""
    for name in ("all_results.json", "eval_results.json", TRAINER_STATE):
        path = place / name
        found = read_json(path) if path.is_file() else {}
        history = found.get("log_history", []) if isinstance(found, dict) else []
        for row in [found, *(history if isinstance(history, list) else [])]:
            if isinstance(row, dict) and row.get("eval_NoAns_total"):
                return f"its {name} has questions without an answer"
    card = place / "README.md"
    if card.is_file() and _SECOND_VERSION in str(_front_matter(card).get("datasets")):
        return f"its README.md names {_SECOND_VERSION}"
    return None


def _front_matter(card: Path) -> Mapping[str, Any]:
    """The YAML at the top of a model card; empty if it has none that can be read."""
    parts = read_text(card, str(card)).split("---\n", 2)
    if len(parts) < 3 or parts[0].strip():
        return {}
    try:
        found = parse_yaml(parts[1], str(card))
    except ValueError as error:
        log.info("%s; what it says of the data is not used", error)
        return {}
    return found if isinstance(found, Mapping) else {}


def _description(kind: str, weights: ChosenWeights, found: _Found) -> str:
    """A sentence on what is asked, and how."""
    asking = found.asking
    allowed = {
        True: "“no answer” is allowed",
        False: "“no answer” is not allowed",
        None: "“no answer” is allowed only if a question that is asked has none",
    }
    return (
        f"{kind} ({weights.note}): windows of {asking.max_tokens} tokens that share "
        f"{asking.stride_tokens} ({found.windows_from}), answers of at most {asking.max_answer_tokens} "
        f"tokens, {allowed[asking.abstain]} ({found.abstain_from})"
    )
