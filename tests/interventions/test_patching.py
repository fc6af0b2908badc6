"""What is put where, to the last bit; and a head that is known to match words is found."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from qa_research.capture.components import Component
from qa_research.capture.forward import changed, forward_watched
from qa_research.capture.sites import Site
from qa_research.interventions.patching.components import (
    Positions,
    changes,
    chosen,
    components_of,
    everything,
    putting,
)
from qa_research.interventions.patching.figure import patching_figure
from qa_research.interventions.patching.pairs import PairBatch, token_groups
from qa_research.interventions.patching.patching import (
    MEASURES,
    Estimate,
    Leads,
    Patch,
    Patched,
    _bands,
    _shares,
    _told,
    lead,
    mean_values,
    measure,
    moved,
)
from qa_research.interventions.patching.show import show_patched
from tests.capture.conftest import KINDS, make_network
from tests.capture.examples import pair_network, watched_pairs
from tests.figures.drawn import collisions
from tests.interventions.patched import batch_of, pairs_about_words, planted

RESTORED, UNRELATED, ZERO, MEAN, SPECIFIC = range(len(MEASURES) + 1)


def hooks_of(network) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())


def measured(network, batch, names=()):
    known = components_of(network, batch.groups)
    components = chosen(names, known) if names else known
    sites = list({site for one in components for site in one.sites})
    means = mean_values(network, batch.unrelated, sites)
    return components, measure(network, [batch], components, means, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_patching_nothing_is_the_corrupted_run_and_everything_the_clean_one(kind, tokenizer):
    network = make_network(kind, len(tokenizer), attn_implementation="sdpa").eval()
    batch = pairs_about_words(tokenizer, 4)
    sites = everything(network)
    clean = forward_watched(network, batch.clean, 0, sites)
    corrupted = forward_watched(network, batch.corrupted, 0)
    assert not torch.equal(clean.scores, corrupted.scores)
    for whole, wanted in ((False, corrupted.scores), (True, clean.scores)):
        put = {site: putting(clean.values[site], torch.tensor(whole)) for site in sites}
        with changed(network, put):
            assert torch.equal(forward_watched(network, batch.corrupted, 0).scores, wanted)
    assert torch.equal(forward_watched(network, batch.corrupted, 0).scores, corrupted.scores)
    assert hooks_of(network) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_all_components_of_a_site_together_are_the_site(kind, tokenizer):
    network = make_network(kind, len(tokenizer)).eval()
    batch = pairs_about_words(tokenizer, 4)
    last = Site("layer_output", 1)
    clean = forward_watched(network, batch.clean, 0, [last, Site("context", 1)])
    # The last layer's output at every position is all that the scores are computed from.
    with changed(network, {last: putting(clean.values[last], torch.tensor(True))}):
        assert torch.equal(forward_watched(network, batch.corrupted, 0).scores, clean.scores)
    covered = sum(own.int() for own in batch.groups.values())
    assert torch.equal(covered.bool(), batch.clean.mask) and covered.max() == 1
    heads = [Component("heads", 1, head) for head in (0, 1)]
    value = torch.randn_like(clean.values[Site("context", 1)])
    for one in heads:
        (change,) = changes(one, network, clean.values, batch.groups).values()
        value = change(value)
    assert torch.equal(value, clean.values[Site("context", 1)])


@pytest.mark.parametrize("kind", KINDS)
def test_beginning_where_something_changes_is_the_whole_pass(kind, tokenizer):
    network = make_network(kind, len(tokenizer), attn_implementation="sdpa").eval()
    batch = pairs_about_words(tokenizer, 4)
    components, leads = measured(network, batch)
    sites = list({site for one in components for site in one.sites})
    values = forward_watched(network, batch.clean, 0, sites).values
    for place, one in enumerate(components):
        whole = lead(network, batch, batch.corrupted, changes(one, network, values, batch.groups))
        np.testing.assert_array_equal(leads.changed[place, RESTORED], whole.numpy())


def test_what_a_change_leaves_alone_is_the_same_to_the_bit(tokenizer):
    network = make_network("bert", len(tokenizer)).eval()
    batch = pairs_about_words(tokenizer, 4)
    value, other = torch.randn(2, *batch.clean.mask.shape, 16)
    site = Site("context", 0)
    (change,) = changes(Component("heads", 0, 1), network, {site: other}, batch.groups).values()
    assert torch.equal(change(value)[..., :8], value[..., :8])
    assert torch.equal(change(value)[..., 8:], other[..., 8:])
    at = Positions(None, "changed")
    (change,) = changes(at, network, {Site("embeddings"): other}, batch.groups).values()
    own = batch.groups["changed"]
    assert own.sum(dim=1).tolist() == [1] * 4
    assert torch.equal(change(value)[own], other[own])
    assert torch.equal(change(value)[~own], value[~own])


def test_no_hook_is_left_when_a_patched_network_raises(tokenizer):
    network = make_network("bert", len(tokenizer)).eval()
    batch = pairs_about_words(tokenizer, 4)

    def explode(*_):
        raise RuntimeError("in the middle")

    broken = network.qa_outputs.register_forward_pre_hook(explode)
    values = {Site("context", 0): torch.zeros(16)}
    change = changes(Component("heads", 0, 1), network, values, batch.groups)
    with pytest.raises(RuntimeError, match="in the middle"):
        lead(network, batch, batch.corrupted, change)
    broken.remove()
    assert hooks_of(network) == 0


@pytest.mark.parametrize("seed", range(10))
def test_a_planted_head_is_found(seed, tokenizer):
    network, (layer, head) = planted(tokenizer, seed)
    batch = pairs_about_words(tokenizer)
    components, leads = measured(network, batch, ["heads"])
    assert (leads.clean > 0).all() and (leads.corrupted < 0).all()
    gap = (leads.clean - leads.corrupted).sum()
    shares = moved(leads).sum(axis=2) / gap
    by_name = dict(zip([one.name for one in components], shares, strict=True))
    own = by_name.pop(f"heads.{layer}.{head}")
    assert own[RESTORED] > 0.6 and max(each[RESTORED] for each in by_name.values()) < 0.3
    assert own[ZERO] > 2 * max(each[ZERO] for each in by_name.values())
    groups = np.arange(len(leads.clean))
    place = [one.name for one in components].index(f"heads.{layer}.{head}")
    restored = _shares(leads, groups)[place][RESTORED]
    band = _bands(leads, components, groups)[place]
    specific = _shares(leads, groups)[place][SPECIFIC]
    assert restored.low > band[1] and specific.low > 0


def test_a_planted_head_is_shown_first_and_drawn(tokenizer, capsys):
    network, (layer, head) = planted(tokenizer, 1)
    batch = pairs_about_words(tokenizer)
    components, leads = measured(network, batch)
    steps = [
        _told(str(step), step, changed_leads, components, np.arange(12))
        for step, changed_leads in (
            (10, replace(leads, corrupted=leads.clean.copy())),
            (20, leads),
        )
    ]
    assert [step.has_gap for step in steps] == [False, True]
    assert steps[0].patches[0].restored is None and steps[0].patches[0].chance is None
    pairs = tuple(pair.told() for pair in batch.pairs)
    found = Patched("a run", "questions", pairs, 64, tuple(steps), ("A note.",))
    show_patched(found)
    out = capsys.readouterr().out
    assert (
        "no gap to share out" in out
        and "12 of 12" in out
        and "leads in both" in out
        and "A note." in out
    )
    rows = [line for line in out.splitlines() if line.startswith("heads.")]
    assert rows[0].split()[0] == f"heads.{layer}.{head}"
    assert "yes" in rows[0] and "yes" not in rows[1]
    assert not collisions(patching_figure(found))
    assert not collisions(patching_figure(replace(found, steps=found.steps[:1])))


def test_what_restores_nothing_is_not_beyond_chance():
    def patched(low, chance, more=0.1):
        restored = Estimate(low + 0.1, low, low + 0.2)
        specific = Estimate(more + 0.1, more, more + 0.2)
        return Patch("heads.0.0", "heads", 0, restored, None, specific, None, None, chance, ())

    assert patched(0.3, (-0.1, 0.2)).is_beyond_chance
    assert not patched(0.1, (-0.1, 0.2)).is_beyond_chance
    # Unrelated texts make it worse; that does not make nothing something.
    assert not patched(0.0, (-0.4, -0.1)).is_beyond_chance
    assert not patched(0.3, None).is_beyond_chance
    # Unrelated texts may do as much in this very part.
    assert not patched(0.3, (-0.1, 0.2), more=-0.01).is_beyond_chance


def heads_of_a_layer(shares, pairs=16, spread=0.05):
    """Leads of twelve heads, of which some move these shares of the gap, restored and by unrelated texts."""
    rng = np.random.default_rng(2)
    gaps = rng.uniform(8, 12, pairs)
    moves = rng.normal(0, 0.02, (12, len(MEASURES), pairs))
    for head, both in shares.items():
        moves[head, :2] = rng.normal(np.array(both)[:, None], spread, (2, pairs))
    return Leads(gaps / 2, -gaps / 2, moves * gaps - gaps / 2)


HEADS_OF_A_LAYER = [Component("heads", 0, number) for number in range(12)]


def test_a_head_that_any_text_breaks_is_not_beyond_chance():
    """The mean of the twelve moves by 3 %, which says nothing of how far one of them goes."""
    for restored, unrelated in ((0.42, 0.02), (0.42, 0.39), (0.39, 0.42)):
        leads = heads_of_a_layer({3: (restored, unrelated)})
        patches = _told("7", 7, leads, HEADS_OF_A_LAYER, np.arange(16)).patches
        beyond = [number for number, one in enumerate(patches) if one.is_beyond_chance]
        assert beyond == ([3] if unrelated < 0.1 else [])
        own = patches[3]
        assert own.restored.low > 0.3
        assert own.specific.value == pytest.approx(own.restored.value - own.unrelated.value)
        assert own.specific.low < own.specific.value < own.specific.high


def test_what_one_head_does_is_compared_with_what_one_like_it_does():
    """Head 3 is moved a little more by the right text; but 39 % come back if any text is put into head 5."""
    leads = heads_of_a_layer({3: (0.2, 0.1), 5: (0.39, 0.39)})
    patches = _told("7", 7, leads, HEADS_OF_A_LAYER, np.arange(16)).patches
    assert patches[3].specific.low > 0 and not patches[3].is_beyond_chance
    assert all(one.chance == patches[5].chance for one in patches)
    assert patches[5].unrelated.value < patches[5].chance[1] < patches[5].unrelated.high
    leads = heads_of_a_layer({3: (0.2, 0.1)})
    assert _told("7", 7, leads, HEADS_OF_A_LAYER, np.arange(16)).patches[3].is_beyond_chance


def test_the_chance_band_is_over_texts_and_not_over_pairs():
    """Each pair four times is no more than once, if the four are said to be about one text."""
    all_heads = heads_of_a_layer({3: (0.42, 0.3)}, spread=0.2)
    leads = replace(all_heads, changed=all_heads.changed[3:4])
    clean, corrupted = (np.repeat(values, 4) for values in (leads.clean, leads.corrupted))
    four = Leads(clean, corrupted, np.repeat(leads.changed, 4, axis=2))

    def width(some, groups):
        ((low, high),) = _bands(some, HEADS_OF_A_LAYER[3:4], groups)
        return high - low

    once, numbers = width(leads, np.arange(16)), np.repeat(np.arange(16), 4)
    assert width(four, numbers) == pytest.approx(once, abs=1e-12)
    assert width(four, np.arange(64)) < 0.7 * once


def test_what_is_found_of_a_part_does_not_depend_on_which_others_are_patched(tokenizer):
    network = make_network("bert", len(tokenizer)).eval()
    batch = pairs_about_words(tokenizer, 4)
    (components, all_of_it), (_, alone) = (
        measured(network, batch, names) for names in ((), ("heads.1.1",))
    )
    place = [one.name for one in components].index("heads.1.1")
    np.testing.assert_array_equal(all_of_it.changed[place], alone.changed[0])


def test_shares_are_of_the_gap_as_the_manual_says():
    # One pair: 6 in the clean text, -4 in the corrupted one; 1 with a head restored, 4 without it.
    leads = Leads(np.array([6.0]), np.array([-4.0]), np.array([[[1.0], [-4.0], [4.0], [6.0]]]))
    (shares,) = _shares(leads, np.zeros(1, int))
    assert [one.value for one in shares] == pytest.approx([0.5, 0.0, 0.2, 0.0, 0.5])
    assert all(one.low is None for one in shares)
    assert _bands(leads, [Component("heads", 0, 0)], np.zeros(1)) == [None]


def test_the_lead_is_of_the_spans_of_both_answers(tokenizer):
    batch = pairs_about_words(tokenizer, 4)
    scores = torch.randn(4, 2, batch.clean.mask.shape[1])
    for row, one in enumerate(batch.difference(scores)):
        (start, end), (other, last) = (w.outputs.true[row] for w in (batch.clean, batch.corrupted))
        wanted = scores[row, 0, start] + scores[row, 1, end]
        wanted = wanted - scores[row, 0, other] - scores[row, 1, last]
        assert float(one) == pytest.approx(float(wanted), abs=1e-6)


def test_labels_are_compared_as_spans_are(tokenizer):
    network, clean = pair_network(len(tokenizer)).eval(), watched_pairs(tokenizer)
    ids = clean.inputs["input_ids"].clone()
    ids[:, 1] = tokenizer.convert_tokens_to_ids("judo")
    corrupted = replace(
        clean,
        inputs=clean.inputs | {"input_ids": ids},
        outputs=replace(clean.outputs, true=1 - clean.outputs.true),
    )
    groups = token_groups(clean, corrupted)
    assert set(groups) >= {"changed", "first", "second", "cls", "sep"}
    batch = PairBatch((None,) * 3, clean, corrupted, (clean,), groups)
    scores = torch.tensor([[1.0, 4.0], [1.0, 4.0], [2.0, 0.0]])
    # The labels are 1, 0, 0.
    assert batch.difference(scores).tolist() == [3.0, -3.0, 2.0]
    components, leads = measured(network, batch, ["feed_forward", "positions.embeddings"])
    embedded = [one.name for one in components].index("positions.embeddings.changed")
    np.testing.assert_array_equal(leads.changed[embedded, RESTORED], leads.clean)
    np.testing.assert_array_equal(leads.changed[embedded, UNRELATED], leads.clean)


def test_names_choose_kinds_layers_and_single_components(tokenizer):
    network = make_network("bert", len(tokenizer))
    known = components_of(network, ["changed", "cls"])
    assert len(known) == 4 + 2 + 2 + 3 * 2

    def names(*words):
        return [one.name for one in chosen(words, known)]

    assert names("heads.1") == ["heads.1.0", "heads.1.1"]
    assert names("feed_forward", "heads.0.1") == ["heads.0.1", "feed_forward.0", "feed_forward.1"]
    assert names("positions.embeddings") == [
        "positions.embeddings.changed",
        "positions.embeddings.cls",
    ]
    with pytest.raises(ValueError, match=r"--what heads\.1\.3 .*did you mean heads\.1"):
        names("heads.1.3")
    with pytest.raises(ValueError, match="--what x is .*it has heads, feed_forward, layers, pos"):
        names("x")


def test_padding_plays_no_part(tokenizer):
    network = make_network("bert", len(tokenizer)).eval()
    short = pairs_about_words(tokenizer, 2)
    rows = [(pair.clean.row, pair.corrupted.row) for pair in short.pairs]
    longer = replace(rows[0][0], context=rows[0][0].context + " judo judo judo")
    padded = batch_of(tokenizer, [*rows, (longer, longer)])
    one, other = (forward_watched(network, b.clean, 0).scores for b in (short, padded))
    leads = [batch.difference(s)[:2] for batch, s in ((short, one), (padded, other))]
    assert torch.allclose(*leads, atol=1e-5)
    means = mean_values(network, [padded.clean], [Site("mlp", 0)])[Site("mlp", 0)]
    values = forward_watched(network, padded.clean, 0, [Site("mlp", 0)]).values[Site("mlp", 0)]
    assert torch.allclose(means, values[padded.clean.mask].mean(dim=0), atol=1e-5)
