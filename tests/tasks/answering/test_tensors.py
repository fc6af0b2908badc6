import torch

from qa_research.tasks.answering.windows import WindowDataset, make_windows, padded_batch


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


def test_the_last_window_alone_can_be_batched(questions, tokenizer):
    windows = make_windows(questions, tokenizer, 64, 8)
    dataset = WindowDataset(windows, tokenizer.pad_token_id)
    assert dataset[7]["input_ids"].shape[1] == windows.lengths[7]
    assert len(dataset) == 8
