"""Each number of an opened forward pass is the network's own."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from qa_research.forward.opened import opened_pass
from qa_research.forward.show import show_pass
from qa_research.runs.open import open_run
from qa_research.tasks.stages import STAGES
from tests.conftest import CONTEXT, make_question
from tests.model_folders import byte_level_tokenizer, network_of, write_model

ROW = make_question(7, "Who teaches chess?", "Ms Lund")
SECOND_WINDOW = " ".join(["Nobody teaches rowing there."] * 30) + " " + CONTEXT


@pytest.fixture
def opened_of(tokenizer, tmp_path):
    """A tiny model of a type, opened as `qa-research forward` opens it."""

    def make(kind="bert"):
        is_byte_level = kind == "roberta"
        own = byte_level_tokenizer([ROW.question, CONTEXT]) if is_byte_level else tokenizer
        return open_run(write_model(tmp_path / kind, own, kind), runs=tmp_path / "runs")

    return make


def passed(opened, row=ROW, n_best=4):
    return opened_pass(opened, row, n_best)


def column(stage, number, name):
    """A column of a stage's table."""
    table = stage.tables[number]
    place = table.columns.index(name)
    return [row[place] for row in table.rows]


def by_name(stage, number=0):
    """The rows of a table by their first cell."""
    return {row[0]: row for row in stage.tables[number].rows}


def inputs_of(opened, row=ROW):
    return opened.tokenizer(row.question, row.context, return_tensors="pt")


def test_the_stages_are_the_six_in_order_whatever_is_asked(opened_of):
    opened = opened_of()
    for question in (ROW, opened.example({"question": "Who?", "context": "Ms Lund."})):
        assert tuple(stage.name for stage in passed(opened, question).stages) == STAGES


def test_tokens_and_ids_are_the_tokenizers(opened_of):
    opened = opened_of()
    preprocess, tokenize = passed(opened).stages[:2]
    assert column(preprocess, 0, "as it was given") == [ROW.question, CONTEXT]
    assert column(preprocess, 0, "in words")[0] == "who teaches chess ?"
    assert column(preprocess, 0, "words")[0] == 4
    batch = inputs_of(opened)
    for name in ("input_ids", "token_type_ids", "attention_mask"):
        assert column(tokenize, 0, name) == batch[name][0].tolist()
        assert f"{name} {list(batch[name].shape)} int64" in tokenize.sentences[0]
    tokens = opened.tokenizer.convert_ids_to_tokens(batch["input_ids"][0])
    assert column(tokenize, 0, "token") == tokens
    first, last = CONTEXT.index("Lund"), CONTEXT.index("Lund") + 4
    characters = column(tokenize, 0, "characters")
    assert any(text.startswith(f"{first}-") for text in characters)
    assert any(text.endswith(f"-{last}") for text in characters)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "electra", "roberta"])
def test_hidden_states_are_those_that_the_network_returns(opened_of, kind):
    opened = opened_of(kind)
    found = passed(opened)
    names = found.tensors.keys()
    with torch.inference_mode():
        wanted = opened.network(**inputs_of(opened), output_hidden_states=True).hidden_states
    close(found.tensors["embeddings"], wanted[0])
    for layer in range(2):
        close(found.tensors[f"layer {layer}: output"], wanted[layer + 1])
    close(found.tensors["final"], wanted[-1])
    assert {"layer 0: query", "layer 0: key", "layer 0: context", "layer 0: mlp"} <= names


def test_looked_up_rows_add_up_to_the_embeddings(opened_of):
    opened = opened_of()
    found = passed(opened)
    parts = [
        found.tensors[f"bert.embeddings.{name}_embeddings"]
        for name in ("word", "position", "token_type")
    ]
    norm = opened.network.bert.embeddings.LayerNorm
    with torch.inference_mode():
        close(norm(sum(parts)), found.tensors["embeddings"])
        ids = inputs_of(opened)["input_ids"]
        close(opened.network.get_input_embeddings()(ids), parts[0])


@pytest.mark.parametrize("kind", ["bert", "distilbert", "modernbert"])
def test_attention_is_that_of_the_network_computed_eagerly(opened_of, kind):
    opened = opened_of(kind)
    found = passed(opened)
    opened.network.set_attn_implementation("eager")
    with torch.inference_mode():
        wanted = opened.network(**inputs_of(opened), output_attentions=True).attentions
    for layer in range(2):
        close(found.tensors[f"layer {layer}: attention"], wanted[layer])


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "modernbert"])
def test_shown_numbers_are_those_of_the_tensors(opened_of, kind):
    opened = opened_of(kind)
    passing, found = opened.passing(ROW, 4), passed(opened)
    rows = by_name(found.stages[2])
    assert any("attention" in name for name in rows)
    for name, (_, shape, numbers, what, module) in rows.items():
        key = module.removeprefix("output of ") if name.endswith("embeddings") else name
        tensor = found.tensors[name if name in found.tensors else key]
        assert list(tensor.shape) == shape
        place = passing.places[0]
        if name.endswith("attention"):
            vector, most = tensor[0, 0, place], tensor[0, :, place].max()
            assert f"most is {most:.3f}" in what
        else:
            vector = tensor.reshape(-1, tensor.shape[-1])[place]
            assert module.rpartition(" ")[2] in dict(opened.network.named_modules())
        assert list(numbers) == vector[:3].tolist()


@pytest.mark.parametrize("kind", ["bert", "distilbert", "electra", "roberta", "modernbert"])
def test_logits_are_the_heads_products_with_the_hidden_states_and_its_bias(opened_of, kind):
    opened = opened_of(kind)
    head = passed(opened).stages[3]
    with torch.inference_mode():
        output = opened.network(**inputs_of(opened))
    np.testing.assert_allclose(column(head, 1, "start"), output.start_logits[0], atol=1e-5)
    np.testing.assert_allclose(column(head, 1, "end"), output.end_logits[0], atol=1e-5)
    for name, place, products, bias, logit in head.tables[0].rows:
        assert products + bias == pytest.approx(logit, abs=1e-5)
        assert logit == column(head, 1, name)[int(place.split()[0])]


def test_probabilities_are_the_softmax_over_all_allowed_spans(opened_of):
    opened = opened_of()
    found = passed(opened)
    head, postprocess = found.stages[3:5]
    start, end = column(head, 1, "start"), column(head, 1, "end")
    parts, most = column(found.stages[1], 0, "part"), opened.answering.max_answer_tokens
    spans = {
        (i, j): start[i] + end[j]
        for i in range(len(parts))
        for j in range(i, min(i + most, len(parts)))
        if parts[i] == parts[j] == "context"
    }
    total = math.log(sum(map(math.exp, spans.values())))
    values = column(postprocess, 0, "value")
    assert values[:2] == [parts.count("context"), len(spans)]
    assert values[2] == pytest.approx(total, abs=1e-5)
    best = sorted(spans, key=spans.get, reverse=True)[:4]
    rows = postprocess.tables[1].rows
    assert [row[1:3] for row in rows] == best
    for row in rows:
        _, first, last, a, b, score, probability, _ = row
        assert (a, b) == (start[first], end[last])
        assert score == pytest.approx(spans[first, last], abs=1e-5)
        assert probability == pytest.approx(math.exp(spans[first, last] - total), abs=1e-6)


def test_the_answer_is_the_one_that_ask_gives(opened_of):
    opened = opened_of()
    answer = opened.ask(ROW.question, ROW.context)
    postprocess = passed(opened).stages[4]
    assert column(postprocess, 1, "text") == [c.text for c in answer.candidates[:4]]
    np.testing.assert_allclose(
        column(postprocess, 1, "probability"),
        [c.probability for c in answer.candidates[:4]],
        atol=1e-5,
    )
    assert f"characters {answer.char_start} to {answer.char_end}" in postprocess.sentences[1]


def test_the_loss_is_that_of_training_and_the_scores_are_squads(opened_of):
    opened = opened_of()
    passing = opened.passing(ROW, 4)
    values = dict(passed(opened).stages[5].tables[0].rows)
    text, (answer,) = passing.watched.texts[0], opened.answer([ROW])
    begin = CONTEXT.index("Ms Lund")
    first, last = text.span_of(begin, begin + len("Ms Lund"))
    labels = {"start_positions": torch.tensor([first]), "end_positions": torch.tensor([last])}
    with torch.inference_mode():
        wanted = opened.network(**inputs_of(opened), **labels).loss
    assert values["loss"] == pytest.approx(float(wanted), abs=1e-5)
    assert values["exact match"] == float(answer.text == "Ms Lund")
    assert values["right, normalised"] == "ms lund"


def test_nothing_is_scored_where_nobody_said_what_is_right(opened_of):
    opened = opened_of()
    row = opened.example({"question": ROW.question, "context": CONTEXT})
    evaluate = passed(opened, row).stages[5]
    assert not evaluate.tables and "What is right is not known" in evaluate.sentences[0]


def test_of_a_long_text_the_window_with_the_answer_is_opened(opened_of):
    opened = opened_of()
    opened.config["data"] |= {"max_tokens": 48, "stride_tokens": 8}
    row = make_question(1, ROW.question, "Ms Lund", SECOND_WINDOW)
    (answer,) = opened.answer([row])
    found = passed(opened, row)
    tokenize, _, head, postprocess, _ = found.stages[1:]
    assert len(column(head, 1, "start")) == len(column(tokenize, 0, "token")) <= 48
    assert column(postprocess, 1, "text")[0] == answer.text
    assert f"is {answer.probability:.4f}" in postprocess.sentences[2]


def test_no_answer_is_the_answer_whose_score_is_that_of_cls(tokenizer, tmp_path):
    place = write_model(tmp_path / "m", tokenizer)
    network = network_of("bert", len(tokenizer))
    first = torch.ones(16)
    first[::2] = -1
    network.bert.embeddings.position_embeddings.weight.data[0] = 100 * first
    with torch.inference_mode():
        network.qa_outputs.weight.copy_(torch.stack([first, first]))
    network.save_pretrained(place)
    (place / "README.md").write_text("---\ndatasets: [squad_v2]\n---\n")
    opened = open_run(place)
    row = make_question(1, ROW.question, None)
    head, postprocess, evaluate = passed(opened, row).stages[3:]
    assert "No answer is given" in postprocess.sentences[1]
    null = dict(postprocess.tables[0].rows)["score of no answer, start + end of [CLS]"]
    assert null == pytest.approx(column(head, 1, "start")[0] + column(head, 1, "end")[0], abs=1e-5)
    assert dict(evaluate.tables[0].rows)["exact match"] == 1


def test_of_a_network_whose_layers_are_not_known_the_rest_is_shown(opened_of):
    found = passed(opened_of("albert"))
    model, head = found.stages[2:4]
    assert (
        not model.tables[0].rows
        and "class AlbertForQuestionAnswering is not shown" in model.sentences[1]
    )
    for _, _, products, bias, logit in head.tables[0].rows:
        assert products + bias == pytest.approx(logit, abs=1e-5)


def test_no_hook_and_no_mode_remains_not_even_after_an_error(opened_of, monkeypatch):
    opened = opened_of()
    passing = opened.passing(ROW, 4)
    opened.network.train()
    passed(opened)
    assert all(module.training for module in opened.network.modules())
    ready = SimpleNamespace(**vars(opened), passing=lambda *_: passing)
    monkeypatch.setattr(opened.network.qa_outputs, "forward", lambda hidden: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        opened_pass(ready, ROW)
    for module in opened.network.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks


def test_long_tables_are_cut_down_to_telling_rows_on_the_screen_only(opened_of, capsys):
    opened = opened_of()
    opened.config["data"] |= {"max_tokens": 120, "stride_tokens": 8}
    found = passed(opened, make_question(1, ROW.question, "Ms Lund", SECOND_WINDOW))
    tokens = found.as_json()["stages"][1]["tables"][0]
    show_pass(found)
    shown = capsys.readouterr().out.splitlines()
    assert len(tokens) > 60 and "..." in {line.strip() for line in shown}
    assert json.loads(json.dumps(found.as_json()))["stages"][3]["tables"][1][0]["token"] == "[CLS]"
    assert [line.split()[:2] for line in shown if line[:1] in set("123456")] == [
        [str(number), name] for number, name in enumerate(STAGES, start=1)
    ]


def close(found, wanted):
    np.testing.assert_allclose(found.numpy(), wanted.detach().numpy(), atol=1e-5)
