"""The forward pass of a network that says a label of a pair of texts."""

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig

from qa_research.forward.opened import opened_pass
from qa_research.model.places import Places
from qa_research.tasks.stages import NOBODY_KNOWS, STAGES, passing_of
from qa_research.tasks.watching import PADDING, Outputs, Watched, WatchedExample

PAIR = ("Ms Lund teaches chess.", "Chess is on Monday.")
LABELS = ("differs", "same")


@pytest.fixture
def opened(tokenizer):
    """A tiny classifier of pairs, as far as a forward pass needs it."""
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), intermediate_size=32, num_labels=2, **sizes)
    network = AutoModelForSequenceClassification.from_config(config).eval()
    batch = dict(tokenizer(*PAIR, return_tensors="pt"))
    tokens = tuple(tokenizer.convert_ids_to_tokens(batch["input_ids"][0]))
    encoding, second = tokenizer(*PAIR).encodings[0], len(PAIR[0]) + 1
    names = ("first", "second")
    parts = tuple("sep" if i is None else names[i] for i in encoding.sequence_ids)
    chars = tuple(
        (a + second * (part == "second"), b + second * (part == "second"))
        for part, (a, b) in zip(parts, encoding.offsets, strict=True)
    )
    example = WatchedExample(
        id="p",
        split="asked",
        kind="",
        title="",
        heading=" | ".join(PAIR),
        text="\n".join(PAIR),
        truths=("same",),
        tokens=tokens,
        parts=parts,
        chars=chars,
    )
    outputs = Outputs("labels", LABELS, torch.tensor([1]), lambda output: output.logits)
    mask = batch["attention_mask"].bool()
    watched = Watched((example,), batch, mask, (PADDING, "sep", *names), outputs)

    def passing(is_known, n_best):
        return passing_of(watched, is_known, tokenizer)

    return SimpleNamespace(
        network=network, step=0, name="pairs", label="best", passing=passing, batch=batch
    )


def test_logits_probabilities_label_and_loss_are_the_networks(opened):
    preprocess, _, model, head, postprocess, evaluate = opened_pass(opened, True).stages
    with torch.inference_mode():
        output = opened.network(**opened.batch, labels=torch.tensor([1]))
    logits = output.logits[0]
    assert [row[:2] for row in preprocess.tables[0].rows] == [
        ("first", PAIR[0]),
        ("second", PAIR[1]),
    ]
    assert preprocess.tables[0].rows[1][4] == "chess is on monday ."
    for row, label, logit in zip(head.tables[0].rows, LABELS, logits.tolist(), strict=True):
        name, where, products, bias, shown = row
        assert (name, where) == (label, "none: all of it")
        assert products + bias == pytest.approx(shown, abs=1e-5)
        assert shown == pytest.approx(logit, abs=1e-5)
    assert "reads [1, 16] and makes [1, 2]" in head.sentences[0]
    shares = [row[3] for row in postprocess.tables[0].rows]
    assert shares == pytest.approx(logits.softmax(0).tolist(), abs=1e-6)
    assert sum(shares) == pytest.approx(1)
    best = int(logits.argmax())
    assert postprocess.sentences[0].endswith(f": {LABELS[best]}")
    values = dict(evaluate.tables[0].rows)
    assert values["loss"] == pytest.approx(float(output.loss), abs=1e-5)
    assert values["correct"] == best and values["true"] == "same"
    assert "at token 0 ([CLS])" in model.sentences[0]


def test_the_pooled_vector_that_the_head_reads_is_that_of_the_first_token(opened):
    found = opened_pass(opened, True)
    last = found.tensors["layer 1: output"][0, 0]
    with torch.inference_mode():
        pooled = opened.network.bert.pooler.dense(last).tanh()
    torch.testing.assert_close(found.tensors["final"][0], pooled, atol=1e-5, rtol=0)


def test_a_pair_of_which_nobody_said_what_is_true_is_not_scored(opened):
    found = opened_pass(opened, False)
    assert found.stages[-1] == NOBODY_KNOWS
    assert tuple(stage.name for stage in found.stages) == STAGES


class Scaled(torch.nn.Module):
    """A network of our own that brings its head's output to another scale."""

    places = Places(head="head")

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, 1)

    def forward(self, vectors):
        return 10 + 2 * self.head(vectors)


def test_a_logit_is_the_heads_and_what_its_network_makes_of_it_is_said():
    torch.manual_seed(1)
    network, vectors = Scaled(), torch.tensor([[1.0, 2, 3]])
    example = WatchedExample("s", "asked", "", "", "acg", "acg", (), ("x",), ("x",), ((0, 3),))
    outputs = Outputs("number", ("prediction",), torch.tensor([0.0]), lambda output: output)
    seen = torch.ones(1, 1, dtype=torch.bool)
    watched = Watched((example,), {"vectors": vectors}, seen, (PADDING, "x"), outputs)
    opened = SimpleNamespace(
        network=network,
        step=0,
        name="scaled",
        label="best",
        passing=lambda is_known, n_best: passing_of(watched, is_known),
    )
    head, postprocess = opened_pass(opened, False).stages[3:5]
    ((_, _, products, bias, logit),) = head.tables[0].rows
    assert products + bias == pytest.approx(logit, abs=1e-6)
    assert logit == pytest.approx(float(network.head(vectors).detach()), abs=1e-6)
    ((_, prediction),) = postprocess.tables[0].rows
    assert prediction == pytest.approx(10 + 2 * logit, abs=1e-5)
    assert f"Of it the network makes {prediction:.4f}." in head.sentences[0]
