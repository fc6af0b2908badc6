"""What each recorder writes, against the same numbers computed in another way."""

import numpy as np
import pytest
import torch

from qa_research.capture.forward import HookPoint, forward_watched, tap
from qa_research.capture.recorders.activations import ActivationsRecorder, similarity
from qa_research.capture.recorders.attention import AttentionRecorder
from qa_research.capture.recorders.attribution import AttributionRecorder
from qa_research.capture.recorders.batch_attention import BatchAttentionRecorder
from qa_research.capture.recorders.head_weights import HeadWeightsRecorder
from qa_research.capture.recorders.heads import ALL, HeadsRecorder, measure_heads
from qa_research.capture.recorders.logits import LogitsRecorder
from qa_research.capture.recorders.recorder import Subject
from qa_research.capture.sites import SITE_NAMES, Site, module_of
from qa_research.tasks.answering.decode import AnswerSettings, context_mask, top_spans
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.watched import watched_windows
from qa_research.tasks.watching import Watching
from tests.capture.conftest import KINDS, make_network

TARGETS = ("cls", "sep", "question", "context", "answer", "match_question", "match_context")
SOURCES = (ALL, *TARGETS)


def recorded(recorder, subject, step=0):
    """One capture of a prepared recorder, its shapes checked against its axes and coordinates."""
    forward = forward_watched(
        subject.network, subject.watched, step, recorder.sites, recorder.span_sites
    )
    arrays = recorder.record(forward)
    sizes = {}
    for array in arrays.values():
        assert len(array.axes) == array.values.ndim and array.units and array.long_name
        for axis, size in zip(array.axes, array.values.shape, strict=True):
            assert sizes.setdefault(axis, size) == size
    for name, coordinate in recorder.coordinates().items():
        assert all(axis in sizes for axis in coordinate.axes), name
        assert len(coordinate.values) == sizes[coordinate.axes[0]]
    return {name: array.values for name, array in arrays.items()}, forward


def prepared(recorder, subject):
    recorder.prepare("capture.x", subject)
    return recorder


def test_logits_losses_and_rank_of_the_true_span(network, subject, watched):
    about = subject(network)
    found, forward = recorded(prepared(LogitsRecorder(), about), about)
    lengths = watched.mask.sum(dim=1).tolist()
    for i, length in enumerate(lengths):
        own = forward.scores[i, :, :length].double()
        assert np.array_equal(found["logit"][i, :, :length], own.float())
        assert np.isnan(found["logit"][i, :, length:]).all()
        for row in (0, 1):
            wanted = torch.nn.functional.cross_entropy(own[row], watched.spans[i, row])
            assert found["loss"][i, row] == pytest.approx(wanted.item(), abs=1e-5)
    allowed = context_mask(watched.windows, watched.indices, forward.scores.shape[2])
    top = top_spans(forward.scores[:, 0], forward.scores[:, 1], allowed, 8, 2000)
    for i, (first, last) in enumerate(watched.spans.tolist()):
        pairs = list(zip(top.first[i].tolist(), top.last[i].tolist(), strict=True))
        place = pairs.index((first, last))
        assert found["rank"][i] == place + 1
        chance = (top.score[i, place] - top.log_total[i]).exp()
        assert found["probability"][i] == pytest.approx(chance.item(), rel=1e-5)
        assert tuple(found["answer"][i]) == pairs[0]
        best = (top.score[i, 0] - top.log_total[i]).exp()
        assert found["answer_probability"][i] == pytest.approx(best.item(), rel=1e-5)
        assert found["exact_match"][i] == (place == 0)


def test_attention_maps_are_nan_at_padding_and_sum_to_one(network, subject, watched):
    about = subject(network)
    recorder = prepared(AttentionRecorder([-1], "float16"), about)
    weight = recorded(recorder, about)[0]["weight"]
    tokens = watched.parts.shape[1]
    assert weight.dtype == np.float16 and weight.shape == (4, 1, 2, tokens, tokens)
    assert recorder.coordinates()["layer"].values.tolist() == [1]
    for i, length in enumerate(watched.mask.sum(dim=1).tolist()):
        inside = weight[i, :, :, :length, :length].astype(np.float64)
        assert np.abs(inside.sum(axis=-1) - 1).max() < 2e-3
        assert np.isnan(weight[i, :, :, length:]).all() and np.isnan(weight[i, ..., length:]).all()


def test_head_measures_of_attention_done_by_hand():
    attention = torch.tensor([[[[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]]])
    mask = torch.tensor([[True, True, False]])
    groups = torch.zeros(1, len(SOURCES), 3, dtype=torch.bool)
    groups[0, SOURCES.index("all")] = mask[0]
    groups[0, SOURCES.index("cls"), 0] = True
    groups[0, SOURCES.index("answer"), 1] = True
    entropy, distance, weight = measure_heads(attention, mask, groups)
    assert entropy.item() == pytest.approx(np.log(2) / 2)
    assert distance.item() == pytest.approx(0.25)
    cells = {
        (s, t): weight[0, 0, i, j] for i, s in enumerate(SOURCES) for j, t in enumerate(TARGETS)
    }
    assert cells["all", "cls"] == 0.25 and cells["all", "answer"] == 0.75
    assert cells["cls", "answer"] == 0.5 and cells["answer", "answer"] == 1
    assert cells["question", "cls"].isnan() and cells["cls", "question"].isnan()


def test_head_measures_of_a_network_add_up(network, subject, watched):
    about = subject(network)
    found, _ = recorded(prepared(HeadsRecorder(None), about), about)
    weight = found["group_weight"].astype(np.float32)
    assert tuple(watched.groups) == TARGETS, "the order of all recordings"
    targets = dict(zip(TARGETS, np.moveaxis(weight, -1, 0), strict=True))
    total = targets["cls"] + targets["sep"] + targets["question"] + targets["context"]
    assert np.nanmax(np.abs(total - 1)) < 5e-3
    assert (found["entropy"] > 0).all() and (found["distance"] > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_shares_of_units_and_layers_sum_to_the_logits(kind, tokenizer, subject):
    network = make_network(kind, len(tokenizer))
    about = subject(network)
    found, forward = recorded(prepared(AttributionRecorder(), about), about)
    spans = about.watched.spans
    logits = forward.scores.gather(2, spans[:, :, None]).squeeze(2).numpy()
    assert np.array_equal(found["logit"], logits) and np.abs(logits).max() > 1
    by_unit = found["unit_share"].astype(np.float64).sum(axis=2) + found["bias"]
    assert np.abs(by_unit - logits).max() < 1e-5
    by_layer = found["layer_share"].astype(np.float64).sum(axis=2)
    assert np.abs(by_layer - logits).max() < 1e-5
    assert (np.abs(found["layer_share"]).max(axis=(0, 1)) > 0).all(), "a component adds nothing"


def test_a_layer_that_adds_nothing_has_no_share(network, subject):
    with torch.no_grad():
        for part in network.bert.encoder.layer[1].attention.output.dense.parameters():
            part.zero_()
    about = subject(network)
    recorder = prepared(AttributionRecorder(), about)
    shares = recorded(recorder, about)[0]["layer_share"]
    names = list(recorder.coordinates()["component"].values)
    assert np.abs(shares[:, :, names.index("1 attention")]).max() == 0
    assert np.abs(shares[:, :, names.index("1 mlp")]).min() > 0


def test_head_weights_change_by_three_measures(network, subject):
    about = subject(network)
    recorder = prepared(HeadWeightsRecorder(), about)
    first, _ = recorded(recorder, about)
    assert not first["change"].any() and np.isnan(first["correlation"]).all()
    start = network.qa_outputs.weight.detach().clone()
    with torch.no_grad():
        start[0, 3] = network.qa_outputs.weight[0, 3] = 1e-4
        recorder = prepared(HeadWeightsRecorder(), about)
        network.qa_outputs.weight += 0.01
        network.qa_outputs.weight[0, 5] += 0.5
    found, _ = recorded(recorder, about, 1)
    percent, absolute, standardised = found["change"]
    assert percent[0, 3] == pytest.approx(10_000, rel=1e-3)
    assert absolute[0, 5] == pytest.approx(0.51, rel=1e-5)
    assert standardised[0, 5] == pytest.approx(0.51 / start[0].std(correction=0).item(), rel=1e-4)
    # The unit that began nearest zero leads by percent, the one that moved by the others.
    assert found["ranked_unit"][:, 0, 0].tolist() == [3, 5, 5]
    inverse = 1 / np.abs(start[0].double().numpy())
    wanted = np.corrcoef(inverse, np.abs(percent[0].astype(np.float64)))[0, 1]
    assert found["correlation"][0] == pytest.approx(wanted, abs=1e-5) and wanted > 0.9


def test_activations_of_chosen_sites_layers_and_units(network, subject, watched):
    about = subject(network)
    places = ["embeddings", "context:0", "layer_output"]
    recorder = prepared(ActivationsRecorder(places, None, [7, 2], "float32"), about)
    found, forward = recorded(recorder, about)
    assert recorder.coordinates()["unit"].values.tolist() == [7, 2]
    mask = watched.mask.numpy()
    for layer in (0, 1):
        value = forward.values[Site("layer_output", layer)].numpy()
        assert np.array_equal(found["layer_output"][:, layer][mask], value[:, :, [7, 2]][mask])
        norms = np.linalg.norm(value, axis=2)
        assert np.allclose(found["layer_output_norm"][:, layer][mask], norms[mask], rtol=1e-5)
    assert (
        np.isnan(found["context"][:, 1]).all() and not np.isnan(found["context"][:, 0][mask]).any()
    )
    assert np.isnan(found["layer_output"][:, 1][~mask]).all() and not mask.all()
    assert np.isnan(found["layer_output_cka"]).all() and found["embeddings"].ndim == 3
    again, _ = recorded(recorder, about)
    assert np.allclose(again["layer_output_cka"], 1) and np.allclose(again["embeddings_cka"], 1)


@pytest.mark.parametrize("kind", ["electra", "distilbert"])
def test_all_sites_can_be_recorded_in_other_networks(kind, tokenizer, subject):
    about = subject(make_network(kind, len(tokenizer)))
    found, _ = recorded(
        prepared(ActivationsRecorder(list(SITE_NAMES), None, None, "float32"), about), about
    )
    assert set(found) == {f"{p}{end}" for p in SITE_NAMES for end in ("", "_norm", "_cka")}
    assert found["embeddings"].shape[-1] == 16


def test_attention_of_a_training_batch_is_that_of_its_row_in_eager(tokenizer, subject, watched):
    network = make_network("bert", len(tokenizer)).eval()
    recorder = BatchAttentionRecorder(row=2, layers=None, dtype="float32")
    about = subject(network)
    recorder.prepare("capture.x", about)
    assert not recorder.record(None)["tokens"].values
    names = ("input_ids", "attention_mask", "token_type_ids")
    with tap({s: HookPoint(*module_of(network, s)) for s in recorder.batch_sites}) as values:
        network(**{n: watched.inputs[n] for n in names})
    recorder.after_batch(values, watched.inputs)
    found = {name: array.values for name, array in recorder.record(None).items()}
    eager = make_network("bert", len(tokenizer), attn_implementation="eager").eval()
    with torch.no_grad():
        wanted = eager(**{n: watched.inputs[n] for n in names}, output_attentions=True).attentions
    count = int(watched.mask[2].sum())
    assert found["tokens"] == count
    assert found["token_id"][:count].tolist() == watched.inputs["input_ids"][2, :count].tolist()
    for layer in (0, 1):
        shown = found["weight"][layer, :, :count, :count]
        assert np.abs(shown - wanted[layer][2, :, :count, :count].numpy()).max() < 1e-5
    recorder.after_batch(values, {n: t[:2] for n, t in watched.inputs.items()})
    assert not recorder.record(None)["tokens"].values, "a batch of two rows has no third"


def test_an_answer_outside_the_window_is_not_mistaken_for_no_answer(tokenizer):
    context = (
        "Nothing of note happens here at all, says the notice. " * 5 + "Ms Lund teaches chess."
    )
    text = "says the notice. Nothing of note happens here at all, says the notice. Nothing of note"
    gold = Gold(text, context.index(text))
    row = Question("wide", "", context, "Who teaches chess?", (gold,), "who")
    watched = watched_windows([("train", row)], tokenizer, 40, 8, AnswerSettings(8, 5, True, 0.0))
    assert watched.spans.tolist() == [[0, 0]]
    network = make_network("bert", len(tokenizer))
    about = Subject(network, Watching(watched, 40, 8, is_compiled=False), is_scaled=False)
    found, _ = recorded(prepared(LogitsRecorder(), about), about)
    assert found["rank"].tolist() == [-1] and np.isnan(found["probability"]).all()


def test_similarity_is_one_for_rotations_and_small_for_unrelated_values():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(400, 8, generator=draw)
    rotation = torch.linalg.qr(torch.randn(8, 8, generator=draw)).Q
    assert similarity(x, 3 * x @ rotation + 5) == pytest.approx(1, abs=1e-6)
    assert abs(similarity(x, torch.randn(400, 8, generator=draw))) < 0.1
    assert np.isnan(similarity(x, torch.ones(400, 8)))


@pytest.mark.parametrize(
    ("recorder", "message"),
    [
        (AttentionRecorder([2], "float16"), r"capture.x.layers has 2.*layers 0 to 1"),
        (AttentionRecorder([], "float16"), r"capture.x.layers=\[\] records nothing"),
        (HeadsRecorder([-3]), r"capture.x.layers has -3"),
        (
            ActivationsRecorder(["contxt"], None, None, "float16"),
            r"capture.x.places has 'contxt'; known places: embeddings, context, attention_output",
        ),
        (ActivationsRecorder(["context:9"], None, None, "float16"), r"places has 9.*layers 0 to 1"),
        (ActivationsRecorder(["context:a"], None, None, "float16"), "the number of a layer"),
        (ActivationsRecorder(["context"], [], None, "float16"), "leave nothing to record"),
        (
            ActivationsRecorder(["context"], None, [3, 287], "float16"),
            r"capture.x.units=\[3, 287\]: the units of this network are 0 to 15",
        ),
    ],
)
def test_what_the_network_does_not_have_is_refused_by_name(network, subject, recorder, message):
    with pytest.raises(ValueError, match=message):
        recorder.prepare("capture.x", subject(network))


@pytest.mark.parametrize(
    "make", [lambda: AttentionRecorder(None, "float16"), lambda: AttributionRecorder()]
)
def test_a_network_of_an_unknown_type_is_refused(network, subject, make):
    network.config.model_type = "xlnet"
    with pytest.raises(ValueError, match="the type xlnet computes its attention is not known"):
        make().prepare("capture.x", subject(network))


def test_similarity_of_unrelated_values_is_zero_on_average():
    """Of 40 tokens with 64 units the plain estimate is above 0.5."""
    draw = torch.Generator().manual_seed(1)
    found = [similarity(*torch.randn(2, 40, 64, generator=draw)) for _ in range(60)]
    assert abs(np.mean(found)) < 0.02
    assert np.isnan(similarity(*torch.randn(2, 3, 8, generator=draw)))


def test_similarity_is_the_unbiased_estimate_of_tables_of_kernels():
    draw = torch.Generator().manual_seed(2)
    x, y = torch.randn(9, 4, generator=draw), torch.randn(9, 6, generator=draw)
    y[:, 0] += 2 * x[:, 0]
    ones, n = torch.ones(9, dtype=torch.float64), 9

    def hsic(a, b):
        k, m = ((v.double() @ v.double().T).fill_diagonal_(0) for v in (a, b))
        sums = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        return torch.trace(k @ m) + sums - 2 / (n - 2) * (ones @ k @ m @ ones)

    wanted = hsic(x, y) / (hsic(x, x) * hsic(y, y)).sqrt()
    assert similarity(x, y) == pytest.approx(wanted.item(), abs=1e-12)
    row = torch.arange(-2.0, 3.0)[:, None]
    assert similarity(row, 20 * row + 3) == pytest.approx(1)
    assert similarity(row, row.square() - 2) == pytest.approx(-0.551, abs=1e-3)
