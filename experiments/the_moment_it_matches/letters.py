"""Whether a head attends between a letter of the context and the question's only where they are equal.

The watched `match` questions are read again, and the letters of the other groups are followed, too.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from experiments.the_moment_it_matches.phases import Head, name
from experiments.words_that_match.roles import is_letter
from qa_research.capture.recording.reader import Recording
from qa_research.explain.words.text import Text, texts_of
from qa_research.model.bert import Architecture, build
from qa_research.model.weights import locate
from qa_research.runs.open import open_run
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.trained import TrainedAnswerer
from qa_research.tasks.answering.windows import make_windows

# The two with the most attention between the letters at step 0; "next" below tells how far the others are.
COMPARING: tuple[Head, ...] = ((1, 1), (2, 9))
WAYS = ("equal to question", "other to question", "question to equal", "question to other")


def letters_of_run(directory: Path) -> dict[str, Any]:
    """Of the trained network."""
    run = open_run(directory, checkpoint="last")
    return told(attention_between(run.network, watched_texts(run)))


def letters_before_training(directory: Path) -> dict[str, Any]:
    """Of the weights that a run began with; the head for spans, the only new part, has no attention."""
    run = open_run(directory, checkpoint="last")
    weights = locate(run.config["model"]["weights"], "model.weights")
    as_stored = Architecture(None, None, None, None, None)
    built = build(weights, as_stored, None, run.network.config.vocab_size, seed=0)
    return told(attention_between(built.network.eval(), watched_texts(run)))


def watched_texts(run: TrainedAnswerer) -> list[Text]:
    """The watched `match` questions as words, in the windows that were watched."""
    data, found = run.config["data"], []
    for row in Recording(run.directory / "recording.zarr").questions:
        if row["kind"] != "match":
            continue
        asked = Question(row["id"], row["title"], row["context"], row["question"], (), row["kind"])
        windows = make_windows([asked], run.tokenizer, data["max_tokens"], data["stride_tokens"])
        texts = texts_of(asked, windows, run.tokenizer, data["max_tokens"], data["stride_tokens"])
        found += [
            text
            for index, text in enumerate(texts)
            if list(windows.text(index, asked.context, run.tokenizer).tokens) == list(row["tokens"])
        ]
    return found


def attention_between(network: PreTrainedModel, texts: list[Text]) -> NDArray[np.float64]:
    """[way, layer, head]: attention between two letters, mean over the questions (and the other letters)."""
    network.set_attn_implementation("eager")
    found = []
    with torch.inference_mode():
        for text in texts:
            output = network(**text.inputs, output_attentions=True)
            # [layer, head, from, to]
            weight = torch.cat(output.attentions).double().numpy()
            asked = next(
                text.words[i + 1]
                for i, word in enumerate(text.words)
                if word.part == "question" and word.text.lower() == "group"
            )
            letters = [w for w in text.words if w.part == "context" and is_letter(w.text)]
            own = [w.first_token for w in letters if w.text == asked.text]
            others = [w.first_token for w in letters if w.text != asked.text]
            assert len(own) == 1, text.context
            place = asked.first_token
            found.append(
                [
                    *(weight[:, :, tokens, place].mean(axis=2) for tokens in (own, others)),
                    *(weight[:, :, place, tokens].mean(axis=2) for tokens in (own, others)),
                ]
            )
    return np.mean(found, axis=0)


def told(weight: NDArray[np.float64]) -> dict[str, Any]:
    """The comparing heads' attention by way, and the most that another head has between equal letters."""
    equal = weight[[WAYS.index("equal to question"), WAYS.index("question to equal")]].max(axis=0)
    rest = equal.copy()
    for layer, head in COMPARING:
        rest[layer, head] = 0
    layer, head = np.unravel_index(int(rest.argmax()), rest.shape)
    return {
        "heads": {
            name(chosen): dict(zip(WAYS, weight[:, chosen[0], chosen[1]].tolist(), strict=True))
            for chosen in COMPARING
        },
        "next": [name((int(layer), int(head))), float(rest[layer, head])],
    }
