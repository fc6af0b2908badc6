"""A small BERT in which one attention head, and nothing else, finds the answer: built by hand.

A context is six different letters, and the question is one of them: the answer is where it stands.
"""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from qa_research.streams import stream

LETTERS = "bcdefghijklmnopqrstuvwxyz"
LAYERS, HEADS, WIDTH = 2, 4, 32
# Units of what passes the layers: a letter has one, a segment one, two are for what heads find, and one is
# for nothing.
QUESTION, CONTEXT, FOUND, UNREAD, NOTHING = 25, 26, 27, 28, 29
# Units of a head: one for each letter, one for the segments, and some that carry over what is found.
SEGMENTS, CARRIED = 25, range(26, 32)
SIZES = (
    f"model.hidden_size={HEADS * WIDTH}",
    f"model.num_hidden_layers={LAYERS}",
    f"model.num_attention_heads={HEADS}",
    *("model.intermediate_size=32", "model.vocab_size=100", "trainer.max_steps=0"),
    "data=squad_file",
    *("data.max_tokens=16", "data.stride_tokens=2", "answer.max_answer_tokens=1"),
    *("data.batch_size=8", "capture=none", "logger.graph=false", "train.progress=none"),
    *("train.threads=1", "trainer.precision=32-true"),
)


def write_questions(path: Path, count: int) -> Path:
    """A SQuAD file of such questions; each context has one. Files of other names have others."""
    rng = stream(0, f"test planted letters {path.stem}")
    paragraphs = []
    for number in range(count):
        letters = [LETTERS[i] for i in rng.permutation(len(LETTERS))[:6]]
        place = int(rng.integers(6))
        answer = {"text": letters[place], "answer_start": 2 * place}
        asked = {"id": f"{path.stem}-{number}", "question": letters[place], "answers": [answer]}
        paragraphs.append({"context": " ".join(letters), "qas": [asked]})
    data = {"version": "1.1", "data": [{"title": "letters", "paragraphs": paragraphs}]}
    path.write_text(json.dumps(data))
    return path


def without_and_with(opened: Any, layer: int, head: int, seed: int) -> tuple[Any, Any]:
    """The run's network before and after this head has formed.

    Before, all heads are as BERT's are drawn. After, every head attends as this one does, and has changed as
    much; the others write where nobody reads. All other weights have moved a little, too.
    """
    before, after = copy.deepcopy(opened.network), copy.deepcopy(opened.network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in before.named_parameters():
            if "LayerNorm" not in name:
                bias = name.endswith("bias")
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * (0 if bias else 0.02))
        _place_letters(before, opened.tokenizer)
        for (name, new), old in zip(after.named_parameters(), before.parameters(), strict=True):
            moved = torch.randn(old.shape, generator=generator) * 0.002
            new.copy_(old if name.startswith("bert.embeddings") else old + moved)
        for place in range(LAYERS):
            for number in range(HEADS):
                writes = FOUND if (place, number) == (layer, head) else UNREAD
                _form(after.bert.encoder.layer[place].attention, number, writes)
    return replace(opened, network=before, step=1), replace(opened, network=after, step=2)


def _place_letters(network: Any, tokenizer: Any) -> None:
    """Embeddings and output layer: a token is its letter and its segment; the answer is where FOUND is."""
    embeddings = network.bert.embeddings
    for table in (embeddings.word_embeddings, embeddings.position_embeddings):
        table.weight.zero_()
    embeddings.token_type_embeddings.weight.zero_()
    for number, letter in enumerate(LETTERS):
        embeddings.word_embeddings.weight[tokenizer.convert_tokens_to_ids(letter), number] = 1
    embeddings.token_type_embeddings.weight[0, QUESTION] = 1
    embeddings.token_type_embeddings.weight[1, CONTEXT] = 1
    network.qa_outputs.weight.zero_()
    # LayerNorm moves all units alike, whatever is written where.
    network.qa_outputs.weight[:, FOUND], network.qa_outputs.weight[:, NOTHING] = 1, -1


def _form(attention: Any, head: int, writes: int) -> None:
    """Let a head look from a letter of the context for the same letter in the question.

    After LayerNorm a token's two units are about 8, and the others about 0. A letter scores (8 * 1.4)^2 /
    sqrt(32) = 22 with itself, and a token of the context (8 * 1)^2 / sqrt(32) = 11 with one of the question:
    33 with the same letter there, 22 with itself, 11 with the rest of the question. What is carried over is
    whether the attended token is of the question.
    """
    first = head * WIDTH
    query, key, value = (getattr(attention.self, name) for name in ("query", "key", "value"))
    for linear in (query, key, value):
        linear.weight[first : first + WIDTH] = 0
        linear.bias[first : first + WIDTH] = 0
    for letter in range(len(LETTERS)):
        query.weight[first + letter, letter] = key.weight[first + letter, letter] = 1.4
    query.weight[first + SEGMENTS, CONTEXT] = key.weight[first + SEGMENTS, QUESTION] = 1
    output = attention.output.dense
    output.weight[:, first : first + WIDTH] = 0
    for unit in CARRIED:
        value.weight[first + unit, QUESTION] = 1
        output.weight[writes, first + unit] = 1 / len(CARRIED)
