import json
import os

import pytest
import yaml

from qa_research.launch.compose import conf_directory
from qa_research.tasks.answering import source as named_source
from qa_research.tasks.answering.corpus import generate
from qa_research.tasks.answering.source import find_source
from qa_research.tasks.answering.squad import squad_json
from tests.tasks.answering.test_squad import columns


def conf(name: str) -> dict:
    config = yaml.safe_load((conf_directory() / "data" / f"{name}.yaml").read_text())
    return config.get("data", config)


@pytest.fixture
def file(questions, tmp_path):
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(squad_json(questions, "1.1")))
    return path


def test_names_and_windows_are_those_of_the_configs():
    for name, hub_id in named_source.HUB_IDS.items():
        assert conf(name)["dataset"] == hub_id
    usual, builtin = conf("parts/questions"), conf("builtin")
    assert (usual["max_tokens"], usual["stride_tokens"]) == named_source.USUAL_WINDOW
    assert (builtin["max_tokens"], builtin["stride_tokens"]) == named_source.BUILTIN_WINDOW
    lengths = [
        yaml.safe_load((conf_directory() / "data" / name).read_text())["answer"][
            "max_answer_tokens"
        ]
        for name in ("builtin.yaml", "parts/usual.yaml")
    ]
    assert lengths == [named_source.BUILTIN_ANSWER_TOKENS, named_source.USUAL_ANSWER_TOKENS]
    assert usual["seed"] == named_source.BUILTIN_SEED


def test_builtin_is_the_generated_corpus_and_by_default_its_train_split():
    corpus = generate(0)
    assert find_source("builtin", None).read() == corpus.train
    assert find_source("builtin", "validation").read() == corpus.validation
    assert find_source("builtin", None).name == "train of builtin"


def test_a_file_is_one_split(file, questions):
    source = find_source(str(file), None)
    assert [row.id for row in source.read()] == [row.id for row in questions]
    assert (source.name, source.spelled) == (str(file), f"--data={file}")
    with pytest.raises(
        ValueError, match=r"--split=train is for data with splits.* is a single file"
    ):
        find_source(str(file), "train")


def test_a_file_that_changes_is_in_another_state(file):
    before = find_source(str(file), None)
    file.write_text(file.read_text() + "\n")
    after = find_source(str(file), None)
    assert before.identity == after.identity and before.state != after.state


def test_a_file_of_equal_size_and_time_with_other_content_is_in_another_state(file):
    before, times = find_source(str(file), None), file.stat()
    file.write_text(file.read_text().replace("Ms Lund", "Mr Lund"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    assert find_source(str(file), None).state != before.state


def test_a_directory_in_the_hubs_layout_has_its_own_splits(questions, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for split, rows in (("train", questions), ("validation", questions[:3])):
        pq.write_table(pa.Table.from_pylist(columns(rows)), tmp_path / f"{split}.parquet")
    assert len(find_source(str(tmp_path), None).read()) == 8
    assert find_source(str(tmp_path), "validation").read()[2].answers == questions[2].answers
    with pytest.raises(ValueError, match="--split=test: .* has the splits train, validation"):
        find_source(str(tmp_path), "test").read()


def test_a_directory_of_anything_else_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "notes.txt").rename(tmp_path / "notes.unknown")
    with pytest.raises(ValueError, match="not a directory in the hub's layout"):
        find_source(str(tmp_path), None).read()


def test_what_does_not_exist_is_refused_with_what_does():
    with pytest.raises(
        FileNotFoundError, match="--data=squd does not exist; --data may be builtin"
    ):
        find_source("squd", None)
    with pytest.raises(ValueError, match="--split=dev: --data=squad has the splits train and"):
        find_source("squad", "dev")
    with pytest.raises(ValueError, match="--data is empty"):
        find_source("", None)


def test_an_unreachable_hub_names_what_works_without(monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setitem(named_source.HUB_IDS, "squad", "rajpurkar/no_such_squad")
    with pytest.raises(FileNotFoundError, match=r"--data=squad could not be fetched.*builtin"):
        find_source("squad", None).read()
