"""How probable a network finds the true span of a question."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForQuestionAnswering

from qa_research.tasks.answering.decode import AnswerSettings
from qa_research.tasks.answering.question import asked_question
from qa_research.tasks.answering.truth import true_probability, truth_of_questions
from qa_research.tasks.answering.windows import make_windows
from tests.conftest import CONTEXT, make_question

SETTINGS = AnswerSettings(max_answer_tokens=8, n_best=5, abstain=True, null_threshold=0.0)


def tiny_network(tokenizer):
    """A BERT of random weights that are large enough for it to prefer some tokens."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(
        vocab_size=len(tokenizer), intermediate_size=32, initializer_range=0.5, **sizes
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        return BertForQuestionAnswering(config).eval()


def test_the_example_by_hand():
    start = torch.tensor([[0.0, 0.0, np.log(2), 9.0]])
    end = torch.tensor([[0.0, 0.0, 0.0, 9.0]])
    # The fourth token is padding.
    found = true_probability(start, end, torch.tensor([3]), torch.tensor([[2, 2]]))
    assert found.tolist() == pytest.approx([1 / 6])


def window_by_window(network, windows, number):
    """The probability of each window's own label, and whether it holds an answer: without padding."""
    found = []
    for window in np.flatnonzero(windows.question == number).tolist():
        inputs = windows.input_ids[windows.tokens(window)].astype(np.int64)
        types = windows.token_types[windows.tokens(window)].astype(np.int64)
        output = network(
            input_ids=torch.from_numpy(inputs)[None],
            token_type_ids=torch.from_numpy(types)[None],
            start_positions=torch.tensor([int(windows.span_first[window])]),
            end_positions=torch.tensor([int(windows.span_last[window])]),
        )
        found.append((np.exp(-2 * output.loss.item()), windows.span_last[window] > 0))
    return found


def test_a_question_has_the_probability_that_its_training_loss_is_of(tokenizer):
    long = " ".join([CONTEXT, "Bring a rope to rowing."] * 3)
    rows = [
        make_question(0, "Who teaches chess?", "Ms Lund"),
        make_question(1, "On which day is judo?", "Monday", f"{long} {CONTEXT}"),
        make_question(2, "Who teaches rowing?", None),
        make_question(3, "Who teaches golf?", None, long),
    ]
    network = tiny_network(tokenizer)
    measured = truth_of_questions(rows, tokenizer, (32, 8), SETTINGS)(network)
    windows = make_windows(rows, tokenizer, 32, 8)
    for number, row in enumerate(rows):
        own = window_by_window(network, windows, number)
        # Windows without the answer do not count, unless there is none.
        counted = [chance for chance, holds in own if holds or not row.answers]
        assert measured.probability[number] == pytest.approx(np.mean(counted), rel=1e-4)
    several = [int((windows.question == number).sum()) for number in (1, 3)]
    assert min(several) > 1
    assert measured.group.tolist() == [0, 1, 0, 2]


def test_an_answer_that_no_window_holds_has_no_probability(tokenizer):
    words = " ".join(["rowing", "chess", "judo"] * 20)
    rows = [make_question(0, "What?", words, f"{CONTEXT} {words}."), make_question(1, "Who?", None)]
    found = truth_of_questions(rows, tokenizer, (32, 8), SETTINGS)(tiny_network(tokenizer))
    assert np.isnan(found.probability[0]) and np.isfinite(found.probability[1])


def test_questions_without_labels_have_no_truth(tokenizer):
    with pytest.raises(ValueError, match="question asked has no answer in the data"):
        truth_of_questions([asked_question("Who?", "Ms Lund.")], tokenizer, (32, 8), SETTINGS)
