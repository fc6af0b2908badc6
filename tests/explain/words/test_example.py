"""The words of a pair and the letters of a sequence: methods, controls, page, and what is known to matter."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from qa_research.explain.words.attribute import AttributionRequest, attribute_example
from qa_research.explain.words.example import example_erasure, example_gradients, reader_of
from qa_research.explain.words.page import attribution_page, write_attribution
from qa_research.explain.words.planted import auc, find_planted, planted_figure, randomised
from qa_research.explain.words.result import Attribution
from qa_research.explain.words.sheet import word_sheet
from qa_research.explain.words.show import show_attribution
from qa_research.model.tokenizer import Off
from qa_research.tasks.opened import Opened, Told
from qa_research.tasks.watching import NO_WORD
from tests.capture.examples import MOTIF, pair_network, watched_letters, watched_pairs

REQUEST = AttributionRequest(("gradients", "erasure", "lime"), 60, 1, 3, False)


class FindsMotif(nn.Module):
    """1 for each letter of the motif where all of it is, in letters as vectors; 0.01 for each other `a`."""

    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Conv1d(4, 1, len(MOTIF))
        with torch.no_grad():
            self.filter.weight.zero_()
            for place, letter in enumerate(MOTIF):
                self.filter.weight[0, "acgt".index(letter), place] = 1.0
            self.filter.bias.fill_(-4.0)
        self.head = nn.Linear(1, 1)
        nn.init.constant_(self.head.weight, 2.0)
        nn.init.constant_(self.head.bias, 0.1)

    def forward(self, letters, mask):
        found = self.filter(letters.transpose(1, 2)).relu().max(dim=2).values
        return self.head(found)


@dataclass(frozen=True, repr=False)
class OpenedExamples(Opened[int]):
    """One of the watched examples of `all_watched`, by number."""

    all_watched: Any
    asked_with: ClassVar = ("x",)

    def own(self, split):
        raise NotImplementedError

    of_file = example = rows = own

    def told(self, row):
        return Told(f"s{row}", self.all_watched.examples[row].text, ())

    def watched(self, examples):
        chosen = list(examples)
        length = max(len(self.all_watched.examples[i].tokens) for i in chosen)
        one = self.all_watched
        return replace(
            one,
            examples=tuple(one.examples[i] for i in chosen),
            inputs={name: values[chosen][:, :length] for name, values in one.inputs.items()},
            mask=one.mask[chosen][:, :length],
            outputs=replace(one.outputs, true=one.outputs.true[chosen]),
        )


def opened_with(network, watched) -> OpenedExamples:
    return OpenedExamples(
        directory=Path("runs/study/run"),
        checkpoint=Path("best.ckpt"),
        step=7,
        config={"task": {"examples": "sequences"}},
        record={},
        name="run",
        results=Path("runs/study/run"),
        is_run=True,
        network=network.eval(),
        all_watched=watched,
    )


@pytest.fixture
def letters() -> OpenedExamples:
    watched = watched_letters(9)
    units = torch.zeros(*watched.mask.shape, 4)
    for i, row in enumerate(watched.examples):
        for place, letter in enumerate(row.text):
            units[i, place, "acgt".index(letter)] = 1.0
    read = replace(
        watched,
        inputs={"letters": units, "mask": watched.mask},
        off=Off(0, "n", None),
        switched="letters",
    )
    return opened_with(FindsMotif(), read)


@pytest.fixture
def pairs(tokenizer) -> OpenedExamples:
    return opened_with(pair_network(len(tokenizer)), watched_pairs(tokenizer))


def test_erasure_is_the_fall_of_the_output_without_that_letter(letters):
    reader = reader_of(letters, 0)
    values = np.array(example_erasure(reader).span)
    marked = list(reader.example.marked)
    # Without one of its letters the motif's filter gives 2 instead of 3, and the output falls by 2.
    assert np.allclose(values[marked], 2.0)
    assert np.allclose(np.delete(values, marked), 0.0)
    assert reader.predict(np.ones((1, len(values)), dtype=bool), "x").score == pytest.approx(6.1)


def test_gradients_of_letters_sum_to_the_change_from_their_shuffles(letters):
    reader = reader_of(letters, 0)
    found = example_gradients(reader, seed=1)
    with torch.inference_mode():
        said = reader.scores(torch.cat([reader.whole, reader.references(1)]))[:, 0]
    assert sum(found.span) == pytest.approx(float(said[0] - said[1:].mean()), rel=0.05)
    assert found.doubt is None and found.start is None and not found.is_answer
    assert "steps from each of 20 shuffles, " in found.caption
    assert example_gradients(reader, seed=1) == found != example_gradients(reader, seed=2)


def test_shuffles_have_the_same_letters_in_other_orders_and_leave_what_is_no_word(letters):
    one = letters.all_watched.examples[0]
    words = (NO_WORD, *range(len(one.tokens) - 1))
    examples = (replace(one, words=words), *letters.all_watched.examples[1:])
    opened = replace(letters, all_watched=replace(letters.all_watched, examples=examples))
    reader = reader_of(opened, 0)
    found = reader.references(seed=3)
    assert torch.equal(found.sum(dim=1), reader.whole.sum(dim=1).expand(len(found), -1))
    assert torch.equal(found[:, 0], reader.whole[:, 0].expand(len(found), -1))
    assert len({tuple(own.flatten().tolist()) for own in found}) == len(found)


def test_gradients_of_words_sum_to_the_change_of_the_chosen_logit(pairs):
    for number in range(3):
        reader = reader_of(pairs, number)
        words = "".join(pairs.all_watched.examples[number].text.split())
        assert sum(len(text) for text in words_of(reader)) == len(words)
        full, blank = (np.full((1, len(reader.units)), on) for on in (True, False))
        change = reader.predict(full, "x").score - reader.predict(blank, "x").score
        found = example_gradients(reader, seed=1)
        assert sum(found.span) == pytest.approx(change[0], rel=0.06)
        assert found.shuffles == 0 and "shuffles" not in found.caption
        scores = reader.scores(reader.switched(full))[0]
        assert reader.row == int(scores.argmax())


def words_of(reader):
    from qa_research.explain.words.example import shown_text

    return [word.text for word in shown_text(reader, "x").words]


def test_a_pair_has_both_sentences_on_page_sheet_and_screen(pairs, tmp_path, capsys):
    result = attribute_example(pairs, 0, REQUEST)
    text = result.text
    assert text.question == "Ms Lund teaches chess." and text.context.startswith("Chess is taught")
    assert result.answer in ("same", "different") and text.says == "label" and text.unit == "word"
    for word in text.words:
        source = text.question if word.part == "question" else text.context
        assert source[word.char_start : word.char_end] == word.text
        assert word.place == ("first" if word.part == "question" else "second")
    files = write_attribution(result, tmp_path / "out")
    assert Attribution.load(files.numbers) == result
    page = files.page.read_text()
    assert "Which words led to the label" in page and "the span (sum)" not in page
    assert "its start" not in page and ", span" not in page
    show_attribution(result)
    assert result.answer in capsys.readouterr().out


def test_a_sequence_has_its_letters_and_its_motif_framed(letters):
    result = attribute_example(letters, 0, REQUEST)
    assert result.answer == "6.100" and result.answer_probability is None
    assert result.text.unit == "letter" and result.text.question == ""
    framed = "".join(word.text for word in result.text.words if word.in_span)
    assert framed == MOTIF and {w.place for w in result.text.words} == {"letter", "motif"}
    page = attribution_page(result)
    assert "Which letters led to the prediction" in page and "framed</span> motif" in page
    assert "Prediction lost" in page and "probability" not in page.lower().split("<style>")[0]
    word_sheet(result)
    curves = result.faithfulness.methods["erasure"]
    assert curves.comprehensiveness.beats >= 0.9 and curves.sufficiency.beats >= 0.9


def test_planted_letters_are_found_and_random_weights_find_nothing(letters):
    rows = range(9)
    both = find_planted(letters, rows, seed=1)
    (panel,) = planted_figure(both).axes
    assert [text.get_text() for text in panel.texts][::2] == ["1.00", "1.00"]
    for found in both:
        told = found.as_json()
        assert told["examples"] == 5, "those with a motif"
        assert told["trained"]["auc"] >= 0.95
        assert 0.3 < told["randomised"]["auc"] < 0.75
        json.dumps(told)
    with pytest.raises(ValueError, match="none of these examples has words"):
        find_planted(letters, [1, 3], seed=1)


def test_random_weights_are_others_and_leave_the_network_as_it_was():
    network = FindsMotif()
    before = {name: t.clone() for name, t in network.state_dict().items()}
    other = randomised(network, 3)
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert not torch.equal(other.filter.weight, network.filter.weight)
    assert torch.equal(randomised(network, 3).filter.weight, other.filter.weight)


def test_the_area_counts_ties_half():
    assert auc(np.array([3.0, 1.0, 2.0]), np.array([True, False, True])) == 1
    assert auc(np.array([1.0, 1.0]), np.array([True, False])) == 0.5
    with pytest.raises(ValueError, match="marked, and others"):
        auc(np.array([1.0]), np.array([True]))


def test_what_cannot_be_switched_off_is_refused(letters):
    without = replace(letters, all_watched=replace(letters.all_watched, off=None))
    with pytest.raises(ValueError, match="does not say how a token is switched off"):
        reader_of(without, 0)
    with pytest.raises(ValueError, match="--keep-answer is for questions"):
        attribute_example(letters, 0, replace(REQUEST, keep_answer=True))
    with pytest.raises(ValueError, match="--top 99 is all there is: the text has 20 words; name"):
        attribute_example(letters, 0, replace(REQUEST, top=99))
