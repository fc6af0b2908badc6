import json
import logging
from pathlib import Path

import pytest

from qa_research.tasks.answering.data import BuiltinData, FileData, HubData
from qa_research.tasks.answering.question import Question, Shared, shared_with
from qa_research.tasks.answering.squad import squad_json

SETTINGS = {
    "name": "test",
    "train_questions": None,
    "validation_questions": None,
    "choosing_share": 0.2,
    "curriculum": None,
    "curriculum_epochs": None,
    **dict.fromkeys(("without", "only", "holes", "relabel")),
    "seed": 0,
    "validate_on_train": False,
    "on_bad_rows": "error",
    "max_tokens": 64,
    "stride_tokens": 16,
    "batch_size": 4,
    "eval_batch_size": 4,
    "num_workers": 0,
}


@pytest.fixture
def files(questions, tmp_path):
    paths = {"train_path": tmp_path / "train.json", "validation_path": tmp_path / "validation.json"}
    for path in paths.values():
        path.write_text(json.dumps(squad_json(questions, "1.1")))
    others = {"encoding": "utf-8", "validation_share": None}
    return {key: str(path) for key, path in paths.items()} | others


def spoil(path):
    path = Path(path)
    value = json.loads(path.read_text())
    value["data"][0]["paragraphs"][0]["qas"][1]["answers"][0]["answer_start"] += 1
    path.write_text(json.dumps(value))


def test_the_first_n_after_a_seeded_shuffle_are_nested(files):
    three, five = (FileData(**files, **SETTINGS | {"train_questions": n}) for n in (3, 5))
    three.load()
    five.load()
    assert three.train == five.train[:3]
    assert len(five.validation) == 8
    other = FileData(**files, **SETTINGS | {"train_questions": 5, "seed": 1})
    other.load()
    assert other.train != five.train


def test_asking_for_more_questions_than_there_are_is_refused(files):
    data = FileData(**files, **SETTINGS | {"train_questions": 9})
    with pytest.raises(ValueError, match="data.train_questions=9, but there are only 8"):
        data.load()


def test_a_bad_row_is_an_error_that_lists_its_id(files):
    spoil(files["train_path"])
    with pytest.raises(
        ValueError, match=r"1 of 8 train questions are unusable \(q1: answer 'Monday'"
    ):
        FileData(**files, **SETTINGS).load()


def test_a_bad_row_can_be_dropped_and_is_named(files, caplog):
    spoil(files["train_path"])
    data = FileData(**files, **SETTINGS | {"on_bad_rows": "drop"})
    logging.getLogger("qa_research").propagate = True
    with caplog.at_level(logging.WARNING, logger="qa_research"):
        data.load()
    assert [row.id for row in data.train] == ["q0", "q2", "q3", "q4", "q5", "q6", "q7"]
    assert [bad.id for bad in data.bad_rows] == ["q1"]
    assert "Skipped 1 of 8 train questions: q1" in caplog.text


def test_a_stride_as_long_as_the_window_is_refused():
    with pytest.raises(
        ValueError, match="data.stride_tokens=64 must be less than data.max_tokens=64"
    ):
        BuiltinData(**SETTINGS | {"stride_tokens": 64})


def test_loaders_give_padded_batches_and_leave_the_global_generator_alone(files, tokenizer, cache):
    import torch

    data = FileData(**files, **SETTINGS)
    data.load()
    data.prepare(tokenizer, cache, order_seed=1)
    state = torch.random.get_rng_state()
    batches = list(data.train_dataloader())
    assert sorted(torch.cat([b["window"] for b in batches]).tolist()) == list(range(8))
    scored = torch.cat([b["window"] for b in data.val_dataloader()])
    assert sorted(scored.tolist()) == list(range(8))
    assert torch.equal(state, torch.random.get_rng_state())


def test_unanswerable_questions_are_noticed(files, questions):
    data = FileData(**files, **SETTINGS)
    data.load()
    assert not data.has_unanswerable
    data.train = [*questions, Question("u", "", "A text.", "Why?", (), "why")]
    assert data.has_unanswerable


def test_fingerprints_tell_data_apart(files):
    data = FileData(**files, **SETTINGS)
    data.load()
    other = FileData(**files, **SETTINGS)
    path = Path(files["train_path"])
    path.write_text(path.read_text().replace("Who leads judo?", "Who teaches judo?"))
    other.load()
    assert data.fingerprints()["train"] != other.fingerprints()["train"]
    assert data.fingerprints()["validation"] == other.fingerprints()["validation"]


def test_a_question_that_no_window_has_room_for_is_refused_or_dropped(files, tokenizer, caplog):
    path = Path(files["train_path"])
    path.write_text(path.read_text().replace("Who leads judo?", "chess " * 60 + "?"))
    data = FileData(**files, **SETTINGS)
    data.load()
    with pytest.raises(
        ValueError, match=r"^1 of 8 train questions are too long for a window \(q4: has 61"
    ):
        data.leave_out_too_long(tokenizer)
    data = FileData(**files, **SETTINGS | {"on_bad_rows": "drop"})
    data.load()
    before = data.fingerprints()
    data.leave_out_too_long(tokenizer)
    assert (len(data.train), len(data.validation), data.too_long) == (7, 8, ["q4"])
    assert "q4: has 61 tokens, but data.max_tokens=" in caplog.text
    assert data.fingerprints() == before, "a resumed run compares them before it has a tokenizer"


def test_a_directory_in_the_hubs_layout_is_read_like_the_hub(questions, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tests.tasks.answering.test_squad import columns

    folder = tmp_path / "squad" / "plain_text"
    folder.mkdir(parents=True)
    for split, rows in (("train", questions), ("validation", questions[:3])):
        table = pa.Table.from_pylist(columns(rows))
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")
    data = HubData(dataset=str(tmp_path / "squad"), revision=None, **SETTINGS)
    data.load()
    assert [row.id for row in data.train] == [row.id for row in questions]
    assert [row.answers for row in data.validation] == [row.answers for row in questions[:3]]


def test_an_unreachable_hub_names_what_works_without(monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    data = HubData(dataset="rajpurkar/no_such_squad", revision=None, **SETTINGS)
    with pytest.raises(
        FileNotFoundError, match="could not be fetched.*data=builtin, data=squad_file"
    ):
        data.load()


def test_files_that_cannot_be_trained_on_are_named(files):
    spoil(files["validation_path"])
    with pytest.raises(ValueError) as refusal:
        FileData(**files, **SETTINGS).load()
    said = str(refusal.value)
    assert said.startswith(f"data.validation_path={files['validation_path']}: 1 of 8 validation")
    assert "it stands at 34, not 35 (1 to the left)" in said
    assert said.endswith("data.on_bad_rows=move puts all answers where they stand, drop skips them")


def without_offsets(path, *answers):
    """Let the first questions of a file have these answers, which say no place."""
    value = json.loads(Path(path).read_text())
    rows = value["data"][0]["paragraphs"][0]["qas"]
    for row, answer in zip(rows, answers, strict=False):
        row["answers"] = [{"text": answer}]
    Path(path).write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("choice", "advice"),
    [
        (
            "error",
            "move_or_drop puts answers where they clearly stand and skips the other questions",
        ),
        ("move", "move_or_drop skips them, and moves the others"),
    ],
)
def test_what_cannot_be_moved_says_why_and_how_to_go_on_with_the_others(files, choice, advice):
    without_offsets(files["train_path"], "Monday", "e")
    without_offsets(files["validation_path"], "Zanzibar")
    with pytest.raises(ValueError) as refusal:
        FileData(**files, **SETTINGS | {"on_bad_rows": choice}).load()
    said = str(refusal.value)
    assert "q1: answer 'e' has no answer_start: it stands " in said
    assert "times in the context" in said and advice in said
    data = FileData(**files, **SETTINGS | {"on_bad_rows": "move_or_drop"})
    data.load()
    assert [row.id for row in data.moved_rows] == ["q0"] and len(data.train) == 7
    assert [row.id for row in data.bad_rows] == ["q1", "q0"] and len(data.validation) == 7


def test_a_sentence_names_no_more_than_three_unusable_rows(files, caplog):
    without_offsets(files["train_path"], *["Zanzibar"] * 8)
    count = len(
        json.loads(Path(files["train_path"]).read_text())["data"][0]["paragraphs"][0]["qas"]
    )
    with pytest.raises(ValueError) as refusal:
        FileData(**files, **SETTINGS).load()
    said = str(refusal.value)
    assert said.count("does not stand in the context") == min(3, count)
    assert said.endswith("data.on_bad_rows=drop skips them")


def test_an_answer_away_from_its_offset_can_be_moved_and_is_named(files, questions, caplog):
    spoil(files["train_path"])
    data = FileData(**files, **SETTINGS | {"on_bad_rows": "move"})
    with caplog.at_level(logging.WARNING, logger="qa_research"):
        data.load()
    assert data.train[1].answers == questions[1].answers
    assert [row.id for row in data.moved_rows] == ["q1"] and data.bad_rows == []
    assert (
        "moved answers of 1 of 8 train questions: q1: answer 'Monday' stands at 34" in caplog.text
    )


def of_one_file(tmp_path, rows, **settings):
    path = tmp_path / "all.json"
    path.write_text(json.dumps(squad_json(rows, "1.1")))
    files = {"train_path": str(path), "validation_path": None, "encoding": "utf-8"}
    return FileData(**files | {"validation_share": 0.5}, **SETTINGS | settings)


def test_one_file_is_divided_by_context_and_always_alike(questions, tmp_path):
    data = of_one_file(tmp_path, questions)
    data.load()
    assert len(data.train) == len(data.validation) == 4
    assert {row.context for row in data.train} & {row.context for row in data.validation} == set()
    assert data.shared().contexts == 0 and "data.validation_share=0.5" in data.origin
    again = of_one_file(tmp_path, questions[::-1], train_questions=2)
    again.load()
    assert {row.id for row in again.validation} == {row.id for row in data.validation}
    assert len(again.train) == 2 and again.fingerprints()["train"] != data.fingerprints()["train"]


def test_a_file_that_cannot_be_divided_is_refused(questions, tmp_path):
    with pytest.raises(
        ValueError, match=r"data\.train_path=.*all\.json: data\.validation_share=0\.5: all"
    ):
        of_one_file(tmp_path, questions[:4]).load()
    with pytest.raises(ValueError, match="use one of them"):
        of_one_file(tmp_path, questions, validate_on_train=True).load()


@pytest.mark.parametrize("validation", [("a.json", 0.2), (None, None)])
def test_either_a_second_file_or_a_share_is_given(validation):
    names = dict(zip(("validation_path", "validation_share"), validation, strict=True))
    with pytest.raises(ValueError, match="give one of them"):
        FileData(train_path="b.json", encoding="utf-8", **names, **SETTINGS)


def changed(path, change):
    value = json.loads(Path(path).read_text())
    change(value["data"][0]["paragraphs"][0])
    Path(path).write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p["qas"][1].pop("answers"), "q1: it has no 'answers'"),
        (lambda p: p["qas"][1].update(answers=None), "q1: it has no 'answers'"),
        (lambda p: p["qas"][1].update(is_impossible=True), "q1: is_impossible is true, but it has"),
        (lambda p: p["qas"][1].update(id="q0"), "q0: duplicate id"),
        (lambda p: p["qas"][1].update(question="\ud83d?"), "q1: its question has half a character"),
        (lambda p: p["qas"][1].update(id="q\ud83d"), r"q\\ud83d: its id has half a character"),
        (lambda p: p["qas"][1].update(answers=[{"text": "Judo", "answer_start": 3}]), "it stands at 23"),
    ],
)  # fmt: skip
def test_each_kind_of_bad_row_is_named_with_its_file_or_dropped(files, change, reason):
    changed(files["train_path"], change)
    with pytest.raises(ValueError, match=rf"^data\.train_path=.*1 of 8 train.*{reason}"):
        FileData(**files, **SETTINGS).load()
    data = FileData(**files, **SETTINGS | {"on_bad_rows": "drop"})
    data.load()
    assert len(data.train) == 7


def test_files_of_another_encoding_need_its_name(files, questions):
    for key in ("train_path", "validation_path"):
        text = Path(files[key]).read_text().replace("crowns", "krøner")
        Path(files[key]).write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"data\.train_path=.*data\.encoding=latin-1 reads it"):
        FileData(**files, **SETTINGS).load()
    with pytest.raises(ValueError, match=r"data\.encoding=utf-99 is not an encoding"):
        FileData(**files | {"encoding": "utf-99"}, **SETTINGS)
    data = FileData(**files | {"encoding": "latin-1"}, **SETTINGS)
    data.load()
    assert "krøner" in data.train[2].context


def test_what_validation_shares_with_training_is_counted_unless_that_is_wanted(files, questions):
    data = FileData(**files, **SETTINGS)
    data.load()
    assert data.shared() == Shared(ids=8, questions=8, contexts=8, either=8)
    said = data.shared().sentence(8)
    assert said.startswith(
        "8 of 8 validation questions are training questions too (8 by id, 8 by text)"
    )
    assert Shared(0, 0, 0, 0).sentence(8) is None and "\n" not in said
    wanted = FileData(**files, **SETTINGS | {"validate_on_train": True})
    wanted.load()
    assert wanted.shared() is None


def asked(identity: str, question: str, context: str) -> Question:
    return Question(identity, "", context, question, (), "who")


@pytest.mark.parametrize(
    ("row", "shared"),
    [
        (asked("x", "Who?", "A text."), Shared(1, 1, 1, 1)),
        (asked("y", "who?", "A  TEXT."), Shared(0, 1, 1, 1)),
        (asked("x", "Where?", "Other."), Shared(1, 0, 0, 1)),
        (asked("y", "Where?", "A text."), Shared(0, 0, 1, 0)),
        (asked("y", "Who?", "Other."), Shared(0, 0, 0, 0)),
        # Row numbers of two files are no sign of one question.
        (asked("7", "Where?", "Other."), Shared(0, 0, 0, 0)),
        (asked("7", "Who?", "Another text."), Shared(1, 0, 0, 1)),
    ],
)
def test_shared_questions_are_found_by_id_and_by_text(row, shared):
    train = [asked("x", "Who?", "A text."), asked("7", "Who?", "Not that.")]
    assert shared_with(train, [row]) == shared
