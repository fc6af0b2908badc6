import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.squad import read_questions, squad_json


def columns(questions: list[Question]) -> list[dict]:
    """Rows with the hub's columns."""
    return [
        {
            "id": row.id,
            "title": row.title,
            "context": row.context,
            "question": row.question,
            "answers": {
                "text": [gold.text for gold in row.answers],
                "answer_start": [gold.start for gold in row.answers],
            },
        }
        for row in questions
    ]


def write_csv(path, rows, render):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["id", "title", "context", "question", "answers"])
        writer.writeheader()
        writer.writerows(row | {"answers": render(row["answers"])} for row in rows)


def pandas_style(answers: dict) -> str:
    return (
        f"{{'text': array({answers['text']!r}, dtype=object), "
        f"'answer_start': array({answers['answer_start']!r}, dtype=int32)}}"
    )


WRITERS = {
    "v1.1": lambda p, q: p.write_text(json.dumps(squad_json(q, "1.1"))),
    "v2.0": lambda p, q: p.write_text(json.dumps(squad_json(q, "v2.0"), indent=2)),
    "json lines": lambda p, q: p.write_text("\n".join(map(json.dumps, columns(q))) + "\n"),
    "json list": lambda p, q: p.write_text(json.dumps(columns(q))),
    "rows under data": lambda p, q: p.write_text(json.dumps({"data": columns(q)})),
    "json lines with odd separators": lambda p, q: p.write_text(
        "\r\n".join(json.dumps(row | {"note": "\u2028"}, ensure_ascii=False) for row in columns(q))
    ),
    "parallel lists": lambda p, q: p.write_text(
        json.dumps({key: [row[key] for row in columns(q)] for key in columns(q)[0]})
    ),
    "csv with json": lambda p, q: write_csv(p, columns(q), json.dumps),
    "csv with python": lambda p, q: write_csv(p, columns(q), repr),
    "csv of pandas": lambda p, q: write_csv(p, columns(q), pandas_style),
    "parquet": lambda p, q: pq.write_table(pa.Table.from_pylist(columns(q)), p),
    "with a byte order mark": lambda p, q: p.write_text(
        json.dumps(squad_json(q, "1.1")), encoding="utf-8-sig"
    ),
}


@pytest.mark.parametrize("shape", WRITERS)
def test_every_format_is_recognised_by_its_content_and_gives_the_same_questions(
    shape, questions, tmp_path
):
    path = tmp_path / "questions.dat"
    WRITERS[shape](path, questions)
    found = read_questions(path, "data.train_path")
    wanted = [(q.id, q.title, q.context, q.question, q.answers) for q in questions]
    assert [(q.id, q.title, q.context, q.question, q.answers) for q in found] == wanted


def test_kinds_come_from_the_question_word_unless_given(questions, tmp_path):
    path = tmp_path / "q.json"
    rows = columns(questions)
    rows[0]["kind"] = "match"
    path.write_text(json.dumps(rows))
    assert [q.kind for q in read_questions(path, "DATA")[:3]] == ["match", "which", "what"]


def test_unanswerable_questions_have_no_answers(questions, tmp_path):
    path = tmp_path / "q.json"
    plain = Question("u", "t", "A text.", "Why?", (), "why")
    path.write_text(json.dumps(squad_json([*questions, plain], "v2.0")))
    assert read_questions(path, "DATA")[-1].answers == ()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ('{"a": 1, "b": 2}', "found a JSON object with the keys 'a', 'b'"),
        ('{"data": [1]}', "an entry of 'data' has no 'paragraphs'"),
        ('{"data": [{"title": "x", "paragraphs": []}]}', "holds no questions"),
        ("[1, 2]", "row 0 is the number 1"),
        ('{"data": ', "not valid JSON: Expecting value at line 1"),
        ('{"id": 1}\nnonsense', "not valid JSON: Expecting value at line 2"),
        ("a,b\n1,2\n", "found the columns 'a', 'b'"),
        ("just some text", "found the columns 'just some text'"),
        (
            "id,passage,question,answers\n1,a,b,c\n",
            "has no column 'context': found the columns 'id', 'passage', 'question', 'answers'; a table "
            "needs the columns context and question",
        ),
        ('{"id":["1"],"context":["c"],"question":[],"answers":[[]]}', "different lengths"),
        ('[{"id":"1","context":"c","question":"q","answers":3}]', "answers is the number 3"),
        ('[{"id":"1","question":"q","answers":[]}]', "row 0 has no text 'context'"),
        ('{"data": [{"paragraphs": ["x"]}]}', "a paragraph has no list 'qas'"),
        ('{"data": [{"paragraphs": [{"qas": null}]}]}', "a paragraph has no list 'qas'"),
        ('{"data": [{"paragraphs": [{"qas": [1]}]}]}', "an entry of 'qas' is the number 1"),
        ("\ufeff", "is empty"),
        (
            '[{"id":"1","context":"c","question":"q","answers":[{"text":"c","answer_start":0.7}]}]',
            "answer_start is the number 0.7; expected a whole number",
        ),
        ("PAR1 but not really", "not a readable Parquet"),
    ],
)
def test_files_without_squad_questions_are_refused_in_one_sentence(content, sentence, tmp_path):
    path = tmp_path / "notes.json"
    path.write_text(content)
    with pytest.raises(ValueError) as refusal:
        read_questions(path, "data.train_path")
    assert sentence in str(refusal.value)
    assert str(refusal.value).startswith(f"data.train_path={path}")


def test_a_missing_file_and_a_directory_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"data\.train_path=.*nothing\.json does not exist"):
        read_questions(tmp_path / "nothing.json", "data.train_path")
    with pytest.raises(FileNotFoundError, match="is a directory"):
        read_questions(tmp_path, "data.train_path")


def test_binary_data_is_refused(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match="neither Parquet nor UTF-8"):
        read_questions(path, "DATA")
