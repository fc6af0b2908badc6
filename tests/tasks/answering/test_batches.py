import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qa_research.streams import stream
from qa_research.tasks.answering.batches import WindowDataset, padded_batch
from qa_research.tasks.answering.windows import make_windows
from qa_research.tasks.batches import (
    ScoringBatches,
    TrainingBatches,
    batch_order,
    batches_of_tokens,
)

LENGTHS = stream(0, "test").integers(10, 300, 5003)


@given(st.integers(1, 400), st.integers(1, 9), st.integers(0, 5), st.integers(0, 3))
def test_an_epoch_holds_every_window_exactly_once(count, batch_size, seed, epoch):
    order = batch_order(LENGTHS[:count], batch_size, seed, epoch, 1)
    assert sorted(np.concatenate(order).tolist()) == list(range(count))
    assert all(len(batch) <= batch_size for batch in order)


@given(st.integers(4, 400), st.integers(1, 5), st.integers(2, 4))
def test_processes_share_each_global_batch_without_repeating_a_window(
    count, batch_size, world_size
):
    ranks = [
        TrainingBatches(LENGTHS[:count], batch_size, 1, r, world_size) for r in range(world_size)
    ]
    shares = [list(rank) for rank in ranks]
    whole = batch_order(LENGTHS[:count], batch_size, 1, 0, world_size)
    for step, batch in enumerate(whole):
        parts = [share[step] for share in shares]
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        # Where there are fewer windows than processes, the rest get one that weighs nothing.
        assert sorted(sum(parts[: len(batch)], [])) == sorted(batch.tolist())
    seen = {window for share in shares for part in share for window in part}
    assert seen == set(range(count))
    assert all(len(rank) == len(share) for rank, share in zip(ranks, shares, strict=True))


@given(st.lists(st.integers(1, 400), max_size=60), st.integers(1, 2000))
def test_batches_of_tokens_hold_each_window_once_and_no_more_tokens_than_allowed(lengths, most):
    batches = batches_of_tokens(np.array(lengths, dtype=int), most)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= most
    flat = [lengths[i] for batch in batches for i in batch]
    assert flat == sorted(lengths, reverse=True)


def test_two_processes_see_the_global_batches_of_one_process_of_twice_the_size():
    one = batch_order(LENGTHS, 16, 1, 0, 1)
    two = batch_order(LENGTHS, 8, 1, 0, 2)
    assert [sorted(b.tolist()) for b in one[:50]] == [sorted(b.tolist()) for b in two[:50]]


def test_order_depends_only_on_seed_and_epoch():
    state = torch.random.get_rng_state()
    sampler = TrainingBatches(LENGTHS, 16, 3, 0, 1)
    first, again = list(sampler), list(sampler)
    sampler.set_epoch(1)
    assert first == again != list(sampler)
    assert first != list(TrainingBatches(LENGTHS, 16, 4, 0, 1))
    assert torch.equal(state, torch.random.get_rng_state())


def test_grouping_by_length_leaves_little_padding():
    order = batch_order(LENGTHS, 16, 1, 0, 1)
    padded = sum(len(batch) * LENGTHS[batch].max() for batch in order)
    assert padded < 1.05 * LENGTHS.sum()
    # Without grouping the same batches would be padded by far more.
    shuffled = stream(1, "x").permutation(len(LENGTHS))
    plain = sum(
        len(shuffled[i : i + 16]) * LENGTHS[shuffled[i : i + 16]].max()
        for i in range(0, len(shuffled), 16)
    )
    assert plain > 1.5 * padded


def test_batches_are_not_served_in_order_of_length():
    order = batch_order(LENGTHS, 16, 1, 0, 1)
    longest = np.array([LENGTHS[batch].max() for batch in order], dtype=float)
    steps = np.arange(len(longest))
    assert abs(np.corrcoef(longest, steps)[0, 1]) < 0.2


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_scoring_shows_every_window_once(world_size):
    shares = [ScoringBatches(LENGTHS, 32, rank, world_size) for rank in range(world_size)]
    seen = [window for share in shares for batch in share for window in batch]
    assert sorted(seen) == list(range(len(LENGTHS)))
    assert all(len(share) == len(list(share)) for share in shares)


def test_a_batch_is_padded_to_its_longest_window(questions, tokenizer):
    windows = make_windows(questions, tokenizer, 64, 8)
    batch = padded_batch(windows, [2, 0], tokenizer.pad_token_id)
    lengths = windows.lengths[[2, 0]]
    assert batch["input_ids"].shape == (2, lengths.max())
    assert batch["attention_mask"].sum(1).tolist() == lengths.tolist()
    padding = batch["input_ids"][batch["attention_mask"] == 0]
    assert (padding == tokenizer.pad_token_id).all()
    assert batch["window"].tolist() == [2, 0]


def test_a_batch_equals_the_tokenizers_own_padding(questions, tokenizer):
    windows = make_windows(questions, tokenizer, 64, 8)
    batch = padded_batch(windows, range(8), tokenizer.pad_token_id)
    texts = ([q.question for q in questions], [q.context for q in questions])
    wanted = tokenizer(*texts, padding=True, return_tensors="pt")
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        assert torch.equal(batch[name], wanted[name])


def test_the_last_window_can_be_a_batch_of_its_own(questions, tokenizer):
    windows = make_windows(questions, tokenizer, 64, 8)
    dataset = WindowDataset(windows, tokenizer.pad_token_id)
    assert dataset[7]["input_ids"].shape[1] == windows.lengths[7]
    assert len(dataset) == 8
