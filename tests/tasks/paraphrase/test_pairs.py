"""Files and rows of pairs: what is read, and what is refused, by file and line."""

import json
import re

import pytest

from qa_research.tasks.paraphrase.data import HubPairs
from qa_research.tasks.paraphrase.pairs import Pair, pair_of, pairs_of_rows, read_pairs

MICROSOFT = (
    "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
    '1\t702876\t702977\t"I said so," he said.\tHe said, "I did.\r\n'
    "0\t2108705\t2108831\tIt rained.\tIt did not rain.\r\n"
)
TSV = "label\tsentence1\tsentence2\n1\tA dog ran.\tA dog was running.\n0\tA dog ran.\tA cat ran.\n"
SETTINGS = {
    "name": "mrpc",
    "train_examples": None,
    "validation_examples": None,
    "choosing_share": 0.2,
    "curriculum": None,
    "curriculum_epochs": None,
    **dict.fromkeys(("without", "only", "holes", "relabel")),
    "temperature_share": 0.2,
    "seed": 0,
    "max_tokens": 32,
    "batch_size": 4,
    "eval_batch_size": 4,
    "num_workers": 0,
}


def read(tmp_path, text: str, **options) -> list[Pair]:
    path = tmp_path / "pairs.tsv"
    path.write_bytes(text.encode())
    return read_pairs(str(path), "data.train_path", **options)


def test_quotes_in_microsofts_files_are_characters(tmp_path):
    first, second = read(tmp_path, MICROSOFT)
    assert first == Pair("702876-702977", '"I said so," he said.', 'He said, "I did.', 1)
    assert (second.id, second.label) == ("2108705-2108831", 0)


def test_a_file_with_named_columns_is_read_in_any_order_of_them(tmp_path):
    found = read(tmp_path, TSV)
    assert [(pair.id, pair.label) for pair in found] == [("1", 1), ("2", 0)]
    turned = "sentence2\tid\tlabel\tsentence1\nb\tx\t1\ta\nd\ty\t0\tc\n"
    assert read(tmp_path, turned) == [Pair("x", "a", "b", 1), Pair("y", "c", "d", 0)]


def test_without_labels_pairs_can_be_asked_but_not_trained_on(tmp_path):
    text = "sentence1\tsentence2\na\tb\n"
    assert read(tmp_path, text, labelled=False) == [Pair("1", "a", "b", None)]
    with pytest.raises(ValueError, match="line 1 names no column 'label'"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty; expected a first line of tabs between Quality, #1 ID, #2 ID"),
        (
            "quality\ttext\n1\ta\n",
            "line 1 names no column 'sentence1': found 'quality', 'text'; expected",
        ),
        ("label,sentence1,sentence2\n1,a,b\n", "line 1 names no column 'sentence1'"),
        (f"label\t{TSV}", "line 1 names the column 'label' 2 times"),
        (f"{TSV}1\tonly one\n", "line 4 has 2 columns, and the first line has 3"),
        (f"{TSV}1\ta\tb\tc\n", "line 4 has 4 columns, and the first line has 3"),
        (f"{TSV}\n1\ta\tb\n", "line 4 has 1 column,"),
        (f"{TSV}2\ta\tb\n", "line 4: the label is '2'; expected 1 (they say the same) or 0"),
        (f"{TSV}yes\ta\tb\n", "line 4: the label is 'yes'"),
        (f"{TSV}1\t \tb\n", "line 4: sentence1 is the text ' '; expected a sentence"),
        ("label\tsentence1\tsentence2\n", "holds no pairs"),
        (
            "label\tsentence1\tsentence2\n1\ta\tb\n1\tc\td\n",
            "all 2 pairs have the label 1; both labels are needed",
        ),
        (
            "id\tlabel\tsentence1\tsentence2\nx\t1\ta\tb\nx\t0\tc\td\n",
            "has two pairs with the id 'x'",
        ),
    ],
)
def test_what_is_no_file_of_pairs_is_refused(tmp_path, text, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(f"data.train_path={tmp_path / 'pairs.tsv'}")


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_pairs(str(tmp_path / "none"), "data.train_path")
    path = tmp_path / "latin.tsv"
    path.write_bytes(TSV.replace("dog", "château").encode("latin-1"))
    with pytest.raises(ValueError, match="data.encoding=latin-1|is not UTF-8"):
        read_pairs(str(path), "data.train_path", option="data.encoding")
    assert read_pairs(str(path), "data.train_path", "latin-1")[0].first == "A château ran."


def rows(count: int) -> list[dict]:
    return [
        {"sentence1": f"It is {i}.", "sentence2": f"{i} it is.", "label": i % 2, "idx": 10 + i}
        for i in range(count)
    ]


def write_json_lines(path, table) -> None:
    path.write_text("\n".join(map(json.dumps, table)))


def write_parquet(path, table) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(table), path)


def write_tsv(path, table) -> None:
    lines = ["idx\tlabel\tsentence1\tsentence2"]
    lines += [f"{r['idx']}\t{r['label']}\t{r['sentence1']}\t{r['sentence2']}" for r in table]
    path.write_text("\n".join(lines) + "\n")


WRITERS = {
    "{}.jsonl": write_json_lines,
    "{}-00000-of-00001.parquet": write_parquet,
    "{}.tsv": write_tsv,
}


@pytest.mark.parametrize("pattern", WRITERS)
def test_a_directory_in_the_hubs_layout_is_read(tmp_path, pattern):
    for split, count in (("train", 12), ("validation", 30)):
        WRITERS[pattern](tmp_path / pattern.format(split), rows(count))
    data = HubPairs(dataset=str(tmp_path), subset="mrpc", revision=None, **SETTINGS)
    data.load()
    assert [pair.id for pair in data.train] == [str(10 + i) for i in range(12)]
    assert data.train[3] == Pair("13", "It is 3.", "3 it is.", 1)
    assert len(data.validation) == 30 and set(data.parts) == {"choosing", "temperature", "scored"}


def test_what_save_to_disk_wrote_is_read(tmp_path):
    import datasets

    table = datasets.Dataset.from_list(rows(20))
    datasets.DatasetDict(train=table, validation=table).save_to_disk(tmp_path / "both")
    data = HubPairs(dataset=str(tmp_path / "both"), subset=None, revision=None, **SETTINGS)
    data.load()
    assert len(data.train) == len(data.validation) == 20


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            {"sentence1": "a", "sentence2": "b"},
            "row 0 has no 'label'; it has 'sentence1', 'sentence2'",
        ),
        ({"sentence1": "a", "sentence2": None, "label": 1}, "row 0: sentence2 is null"),
        ({"sentence1": "a", "sentence2": "b", "label": -1}, "row 0: the label is '-1'"),
        ({"sentence1": "a", "sentence2": "b", "label": True}, "row 0: the label is 'true'"),
    ],
)
def test_a_row_of_the_hub_that_is_no_pair_is_refused(row, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        pairs_of_rows([row, *rows(2)], "data.dataset=d, train")


def test_an_empty_sentence_that_was_typed_is_refused():
    with pytest.raises(ValueError, match="--second is empty"):
        pair_of("a", " ", ("--first", "--second"))
