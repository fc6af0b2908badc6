"""Directories of questions: the hub's layout with files of any format, and what save_to_disk writes."""

import csv
import gzip
import json

import pytest

from qa_research.tasks.answering.data import HubData
from qa_research.tasks.answering.hub import DataSet
from qa_research.tasks.answering.source import find_source
from qa_research.tasks.answering.squad import squad_json
from tests.tasks.answering.test_data import SETTINGS
from tests.tasks.answering.test_squad import columns, write_csv

csv.field_size_limit(2**31 - 1)


def opened(path) -> DataSet:
    return DataSet(str(path), None, f"--data={path}", "", "utf-8", "--encoding")


def ids(questions) -> list[str]:
    return [row.id for row in questions]


WRITERS = {
    "{}.csv": lambda path, q: write_csv(path, columns(q), json.dumps),
    "{}.json": lambda path, q: path.write_text(json.dumps(squad_json(q, "1.1"))),
    "{}-v1.1.json": lambda path, q: path.write_text(json.dumps(squad_json(q, "1.1"))),
    "data/{}.jsonl": lambda path, q: path.write_text("\n".join(map(json.dumps, columns(q)))),
    "{}/part-1.json.gz": lambda path, q: path.write_bytes(
        gzip.compress(json.dumps(columns(q)).encode())
    ),
}


@pytest.mark.parametrize(
    "names", [("train", "validation"), ("training", "dev"), ("train", "valid")]
)
@pytest.mark.parametrize("pattern", WRITERS)
def test_a_directory_of_files_that_are_read_alone_is_read(pattern, names, questions, tmp_path):
    for name, rows in zip(names, (questions, questions[:3]), strict=True):
        path = tmp_path / pattern.format(name)
        path.parent.mkdir(exist_ok=True)
        WRITERS[pattern](path, rows)
    (tmp_path / "README.md").write_text("Notes on these data.")
    found = opened(tmp_path)
    assert found.splits == ["train", "validation"]
    assert found.questions("train")[3].answers == questions[3].answers
    data = HubData(dataset=str(tmp_path), revision=None, **SETTINGS)
    data.load()
    assert (ids(data.train), ids(data.validation)) == (ids(questions), ids(questions[:3]))
    assert ids(find_source(str(tmp_path), "validation").read()) == ids(questions[:3])
    with pytest.raises(ValueError, match="has no split 'test'; it has train, validation"):
        found.questions("test")


def test_several_files_are_one_split(questions, tmp_path):
    for number, rows in enumerate((questions[:2], questions[2:5])):
        (tmp_path / f"train-{number}.json").write_text(json.dumps(squad_json(rows, "1.1")))
    assert ids(opened(tmp_path).questions("train")) == ids(questions[:5])


def test_a_bad_file_of_a_directory_is_named_itself(questions, tmp_path):
    (tmp_path / "train.json").write_text(json.dumps(squad_json(questions, "1.1")))
    (tmp_path / "dev.json").write_text("{")
    with pytest.raises(ValueError, match=r"dev\.json is not valid JSON: .* at line 1"):
        opened(tmp_path).questions("validation")
    (tmp_path / "dev.json").write_bytes("{}".encode("utf-16"))
    with pytest.raises(ValueError, match=r"dev\.json is UTF-16 text.*--encoding=utf-16 reads it"):
        opened(tmp_path).questions("validation")


def test_what_save_to_disk_wrote_is_read_as_splits_or_as_one(questions, tmp_path):
    import datasets

    datasets.disable_progress_bars()
    table = datasets.Dataset.from_list(columns(questions))
    datasets.DatasetDict(train=table, validation=table).save_to_disk(tmp_path / "both")
    table.save_to_disk(tmp_path / "single")
    assert ids(find_source(str(tmp_path / "both"), "validation").read()) == ids(questions)
    source = find_source(str(tmp_path / "single"), None)
    assert ids(source.read()) == ids(questions) and source.split == "all"
    with pytest.raises(ValueError, match="--split=train: .* has the splits all"):
        find_source(str(tmp_path / "single"), "train").read()
    data = HubData(dataset=str(tmp_path / "single"), revision=None, **SETTINGS)
    with pytest.raises(ValueError, match="has no split 'train'; it has all"):
        data.load()


def test_whatever_is_wrong_with_what_save_to_disk_wrote_is_one_sentence(questions, tmp_path):
    import datasets

    table = datasets.Dataset.from_list(columns(questions))
    datasets.disable_progress_bars()
    table.save_to_disk(tmp_path / "saved")
    state = tmp_path / "saved/state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"_format_type": "custom"}))
    with pytest.raises(ValueError, match="is not a directory in the hub's layout .*transform"):
        opened(tmp_path / "saved")


def test_a_loading_script_is_refused_in_one_sentence(tmp_path):
    folder = tmp_path / "notices"
    folder.mkdir()
    (folder / "notices.py").write_text("raise SystemExit('this ran')")
    with pytest.raises(ValueError, match="comes with a loading script"):
        opened(folder)
