"""Files as people have them: formats, shapes, encodings and compressions give the same questions."""

import csv
import gzip
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_research.files import parse_json_values
from qa_research.tasks.answering.moving import with_moved_answers
from qa_research.tasks.answering.question import NOT_SAID, Gold, Question, find_bad_rows
from qa_research.tasks.answering.squad import read_questions, squad_json
from tests.tasks.answering.test_squad import columns


def lines(values) -> str:
    return "\n".join(json.dumps(value, ensure_ascii=False) for value in values)


def articles(questions):
    return squad_json(questions, "1.1")["data"]


def mrqa(questions):
    head = {"header": {"dataset": "own", "split": "dev"}}
    for row in questions:
        spans = [{"text": g.text, "char_spans": [[g.start, g.start]]} for g in row.answers]
        entry = {"qid": row.id, "question": row.question, "answers": [g.text for g in row.answers]}
        yield {
            "title": row.title,
            "context": row.context,
            "qas": [entry | {"detected_answers": spans}],
        }
    yield head


def numbered(questions):
    rows = columns(questions)
    return {key: {str(i): row[key] for i, row in enumerate(rows)} for key in rows[0]}


def split(questions):
    rows = columns(questions)
    return {
        "columns": list(rows[0]),
        "index": list(range(len(rows))),
        "data": [list(row.values()) for row in rows],
    }


def as_csv(questions, render, delimiter=","):
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(columns(questions)[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(row | {"answers": render(row["answers"])} for row in columns(questions))
    return file.getvalue()


def of_numpy_2(answers: dict) -> str:
    starts = ", ".join(f"np.int64({start})" for start in answers["answer_start"])
    return f"{{'text': {answers['text']!r}, 'answer_start': [{starts}]}}"


def of_squad(answers: dict) -> str:
    pairs = zip(answers["text"], answers["answer_start"], strict=True)
    texts = [f"{{'text': {text!r}, 'answer_start': np.int32({start})}}" for text, start in pairs]
    return f"[{', '.join(texts)}]"


def answered(questions, change):
    return json.dumps([row | {"answers": change(row["answers"])} for row in columns(questions)])


SHAPES = {
    "list of articles": lambda q: json.dumps(articles(q)),
    "list of paragraphs": lambda q: json.dumps([p for a in articles(q) for p in a["paragraphs"]]),
    "one article": lambda q: json.dumps({"title": "t", "paragraphs": articles(q)[0]["paragraphs"]}),
    "lines of articles": lambda q: lines(articles(q)),
    "lines of files": lambda q: lines(squad_json([row], "v2.0") for row in q),
    "lines of paragraphs": lambda q: lines(p for a in articles(q) for p in a["paragraphs"]),
    "lines of MRQA": lambda q: lines(reversed(list(mrqa(q[::-1])))),
    "pandas, default": lambda q: json.dumps(numbered(q)),
    "pandas, split": lambda q: json.dumps(split(q)),
    "pandas, index": lambda q: json.dumps({str(i): row for i, row in enumerate(columns(q))}),
    "rows by their ids": lambda q: json.dumps({row.pop("id"): row for row in columns(q)}),
    "pandas, table": lambda q: json.dumps({"schema": {}, "data": columns(q)}),
    "csv of numpy 2": lambda q: as_csv(q, of_numpy_2),
    "csv of numpy 2, objects": lambda q: as_csv(q, of_squad),
    "csv with semicolons": lambda q: as_csv(q, json.dumps, ";"),
    "csv with tabs": lambda q: as_csv(q, json.dumps, "\t"),
    "answers as texts of JSON": lambda q: answered(q, json.dumps),
    "answers as texts of Python": lambda q: answered(q, repr),
    "starts as texts": lambda q: answered(
        q, lambda a: {"text": a["text"], "answer_start": [str(s) for s in a["answer_start"]]}
    ),
    "starts as floats": lambda q: answered(
        q, lambda a: {"text": a["text"], "answer_start": [float(s) for s in a["answer_start"]]}
    ),
    "starts as texts of floats": lambda q: answered(
        q, lambda a: {"text": a["text"], "answer_start": [f"{s}.0" for s in a["answer_start"]]}
    ),
    "a single text and start": lambda q: answered(
        q, lambda a: {"text": a["text"][0], "answer_start": a["answer_start"][0]}
    ),
}


def one_answer_each(questions):
    """As in a table with one answer a row."""
    rows = columns(questions)
    pairs = [(row.pop("answers")) for row in rows]
    return [
        row | {"answer_text": pair["text"][0], "answer_start": pair["answer_start"][0]}
        for row, pair in zip(rows, pairs, strict=True)
    ]


def table(rows) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def normalized(questions):
    """As pandas' json_normalize flattens rows before they are written."""
    rows = columns(questions)
    return [
        row | {f"answers.{key}": value for key, value in row.pop("answers").items()} for row in rows
    ]


SHAPES |= {
    "csv with an answer a row": lambda q: table(one_answer_each(q)),
    "json with an answer a row": lambda q: json.dumps(one_answer_each(q)),
    "an answer a row, as text": lambda q: json.dumps(one_answer_each(q)).replace(
        '"answer_text":', '"text":'
    ),
    "csv of json_normalize": lambda q: table(normalized(q)),
    "json of json_normalize": lambda q: json.dumps(normalized(q)),
    "objects of several lines": lambda q: "\n".join(json.dumps(r, indent=1) for r in columns(q)),
    "lines that end as on an old Mac": lambda q: lines(columns(q)).replace("\n", "\r"),
}
STORED = {
    "plain": lambda text: text.encode(),
    "gzip": lambda text: gzip.compress(text.encode(), mtime=0),
    "a byte order mark": lambda text: text.encode("utf-8-sig"),
    "gzip of a byte order mark": lambda text: gzip.compress(text.encode("utf-8-sig"), mtime=0),
}
# There are many shapes.
FEWER = settings(max_examples=settings().max_examples // 5)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
CONTEXTS = st.lists(WORDS, min_size=1, max_size=4).map("\r\n".join).filter(str.strip)


@st.composite
def drawn_rows(draw):
    """Plain values: the type checks of questions draw from the global generator, which Hypothesis minds."""
    rows = []
    for i, context in enumerate(draw(st.lists(CONTEXTS, min_size=1, max_size=4, unique=True))):
        begin = draw(st.integers(0, len(context) - 1))
        text = context[begin : draw(st.integers(begin + 1, len(context)))]
        if not text.strip():
            begin, text = 0, context
        rows.append((f"k{i}", context, draw(WORDS), text, begin))
    return rows


def facts(questions):
    return [(q.id, q.context, q.question, q.answers, q.is_labelled) for q in questions]


@pytest.mark.parametrize("shape", SHAPES)
@FEWER
@given(rows=drawn_rows(), stored=st.sampled_from(list(STORED)))
def test_questions_survive_every_shape(shape, rows, stored, tmp_path_factory):
    questions = [
        Question(identity, "t", context, question, (Gold(text, begin),), "who")
        for identity, context, question, text, begin in rows
    ]
    path = tmp_path_factory.getbasetemp() / "round_trip.dat"
    path.write_bytes(STORED[stored](SHAPES[shape](questions)))
    assert facts(read_questions(path, "--data")) == facts(questions)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_another_encoding_is_named_and_then_read(encoding, tmp_path):
    context = "Grønn båt på Ærø.\r\nRød båt på Fyn."
    row = Question("1", "", context, "Hvor?", (Gold("Fyn", context.index("Fyn")),), "other")
    path = tmp_path / "q.json"
    path.write_bytes(json.dumps(squad_json([row], "1.1"), ensure_ascii=False).encode(encoding))
    with pytest.raises(ValueError, match=r"--data=\S+ is .*UTF-.*--encoding=\S+ reads it"):
        read_questions(path, "--data", option="--encoding")
    (found,) = read_questions(path, "--data", encoding, "--encoding")
    assert (found.context, found.answers) == (row.context, row.answers)


LABEL_STUDIO = {"id": 1, "data": {"text": "It is red."}, "annotations": [{"result": []}]}
DOCCANO = {"id": 1, "text": "It is red.", "label": [[6, 9, "Colour?"]]}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (json.dumps([LABEL_STUDIO]), "is an export of Label Studio, not SQuAD"),
        (lines([LABEL_STUDIO, LABEL_STUDIO]), "is an export of Label Studio"),
        (lines([DOCCANO]), "is an export of Doccano, not SQuAD"),
        (
            lines([{"id": 4, "data": "It is red.", "label": [[6, 9, "ANSWER"]]}]),
            "is an export of Doccano",
        ),
        (
            json.dumps([{"id": 1, "data": {"text": "It is red."}, "predictions": []}]),
            "is an export of Label Studio",
        ),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "a pointer of Git LFS",
        ),
        (
            '{"id": 1}\n{"id": 2, "context": "It',
            "not valid JSON: Unterminated string starting at line 2",
        ),
        (lines([DOCCANO, DOCCANO]), "is an export of Doccano"),
        (json.dumps([DOCCANO]), "is an export of Doccano"),
        ("annotation_id,text,lead_time,label\n1,It is red.,2,[]\n", "is an export of Label Studio"),
        (json.dumps([{"text": "It is red.", "_input_hash": 1}]), "is an export of Prodigy"),
        (b"BZh91AY", "is compressed by bzip2; bunzip2 FILE"),
        (b"\xfd7zXZ\x00", "is compressed by xz"),
        (b"PK\x03\x04..", "is compressed by zip"),
        (gzip.compress(b"{}", mtime=0)[:-9], "is a damaged gzip file"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"ARROW1\x00\x00", "is an Arrow file; name the directory"),
        ("[" * 100_000, "is JSON that is nested too deeply"),
        ('{"data":' * 100_000, "is JSON that is nested too deeply"),
        ('{"a": 1}\n' + "[" * 100_000, "line 2 is JSON that is nested too deeply|keys 'a'"),
        (
            "id,context,question,answers\n1,c,q," + "[" * 100_000 + "\n",
            "nested too deeply|unreadable",
        ),
        (json.dumps({"context": {"0": "a"}, "question": {"1": "b"}}), "differently numbered"),
        (json.dumps({"columns": ["context", "question"], "data": [["a"]]}), "do not fit its 2"),
        (json.dumps([None]), "row 0 is null"),
        (json.dumps([{"context": None, "question": "q"}]), "no text 'context' but null"),
        (json.dumps([{"context": "c", "question": 7}]), "no text 'question' but the number 7"),
    ],
)
def test_what_a_file_is_instead_is_said_in_one_sentence(content, sentence, tmp_path):
    path = tmp_path / "notes.dat"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=sentence) as refusal:
        read_questions(path, "--data")
    assert str(refusal.value).startswith(f"--data={path}") and len(str(refusal.value)) < 500


def of_answers(answers, **more) -> str:
    return json.dumps(
        [{"id": "k1", "context": "It is red.", "question": "q", "answers": answers, **more}]
    )


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({"text": ["red"], "answer_start": ["six"]}, "answer_start is the text 'six'; expected a whole"),
        ({"text": ["red"], "answer_start": [6.5]}, "answer_start is the number 6.5; expected a whole"),
        ({"text": ["red"], "answer_start": [True]}, "answer_start is true"),
        ({"text": ["red"], "answer_start": []}, "answers have 1 texts and 0 starts"),
        ({"answer": ["red"]}, r"answers have no 'text' \(their keys: 'answer'\)"),
        ([None], "an answer is null"),
        ({"text": [6.5], "answer_start": [6]}, "the text of an answer is the number 6.5"),
        ("red", "answers is the text 'red'"),
        (3, "answers is the number 3"),
        ("{'text': [red]}", "the column 'answers' is unreadable"),
    ],
)  # fmt: skip
def test_odd_answers_are_named_by_id_and_in_the_words_of_json(answers, sentence, tmp_path):
    path = tmp_path / "q.json"
    path.write_text(of_answers(answers))
    with pytest.raises(ValueError, match=rf"row 0 \(id k1\): {sentence}"):
        read_questions(path, "--data")


@pytest.mark.parametrize(
    "answers",
    [
        ["red"],
        {"text": ["red"]},
        {"text": "red", "answer_start": None},
        [{"text": "red", "answer_start": float("nan")}],
        "['red']",
    ],
)
def test_answers_without_a_start_are_answers_that_training_cannot_use(answers, tmp_path):
    path = tmp_path / "q.json"
    path.write_text(of_answers(answers))
    row = read_questions(path, "--data")[0]
    assert row.answers == (Gold("red", NOT_SAID),) and row.is_labelled
    assert find_bad_rows([row], for_training=False) == []
    assert find_bad_rows([row])[0].reason == "answer 'red' has no answer_start"
    assert with_moved_answers([row])[0][0].answers == (Gold("red", 6),)
    written = squad_json([row], "1.1")["data"][0]["paragraphs"][0]["qas"][0]
    assert written["answers"] == [{"text": "red"}]


def test_one_row_that_cannot_be_read_is_named_and_does_not_hide_the_others(tmp_path):
    path = tmp_path / "q.json"
    good = json.loads(of_answers({"text": ["red"], "answer_start": [6]}))[0]
    odd = [
        {"context": None},
        {"question": 5},
        {"answers": {"text": ["red"], "answer_start": ["six"]}},
        {"answers": "red"},
        {"is_impossible": "perhaps"},
    ]
    rows = [good, *(good | {"id": f"odd{i}"} | change for i, change in enumerate(odd))]
    path.write_text(json.dumps(rows))
    questions = read_questions(path, "--data")
    assert len(questions) == 6 and questions[0].answers == (Gold("red", 6),)
    bad = find_bad_rows(questions, for_training=False)
    assert [row.id for row in bad] == ["odd0", "odd1", "odd2", "odd3", "odd4"]
    assert [row.reason[:40] for row in bad] == [
        "has no text 'context' but null (its keys",
        "has no text 'question' but the number 5 ",
        "answer_start is the text 'six'; expected",
        "answers is the text 'red'; expected [{\"t",
        "is_impossible is the text 'perhaps'; exp",
    ]


@pytest.mark.parametrize("word", ["null", "None", "nan", " NaN "])
def test_words_for_a_missing_value_are_no_answers(word, tmp_path):
    path = tmp_path / "q.csv"
    path.write_text(f"id,context,question,answers\nk1,It is red.,q,{word}\n")
    assert not read_questions(path, "--data")[0].is_labelled


NO_ANSWER = [
    [],
    {"text": [], "answer_start": []},
    {"text": [""], "answer_start": [0]},
    {"text": [""], "answer_start": [-1]},
    {"text": ["no answer"], "answer_start": [-1]},
    {"text": [None], "answer_start": [None]},
    {"text": "  ", "answer_start": 3},
    [{"text": "", "answer_start": "-1"}],
    "{'text': [''], 'answer_start': [np.int64(-1)]}",
]


@pytest.mark.parametrize("answers", NO_ANSWER)
def test_an_empty_text_and_the_start_minus_one_are_no_answer(answers, tmp_path):
    path = tmp_path / "q.json"
    path.write_text(of_answers(answers))
    (row,) = read_questions(path, "--data")
    assert row.answers == () and row.is_labelled and not row.fault


@pytest.mark.parametrize(
    ("content", "is_labelled"),
    [
        (of_answers(None), False),
        (of_answers(float("nan")), False),
        (of_answers(None, is_impossible=True), True),
        (of_answers(None, is_impossible=None), False),
        (of_answers(None, is_impossible=False), False),
        (json.dumps([{"id": "k1", "context": "c", "question": "q"}]), False),
        (json.dumps([{"context": "c", "question": "q", "plausible_answers": []}]), False),
        ("context,question\nc,q\n", False),
        ("context,question,answers\nc,q,\n", False),
    ],
)
def test_missing_answers_are_an_unlabelled_question_unless_it_is_impossible(
    content, is_labelled, tmp_path
):
    path = tmp_path / "q.dat"
    path.write_text(content)
    (row,) = read_questions(path, "--data")
    assert row.answers == () and row.is_labelled == is_labelled


@pytest.mark.parametrize("flag", [True, 1, 1.0, "true", "True", "1"])
def test_is_impossible_beside_an_answer_contradicts_itself(flag, tmp_path):
    path = tmp_path / "q.json"
    red = {"text": ["red"], "answer_start": [6]}
    path.write_text(of_answers(red, is_impossible=flag))
    assert "is_impossible is true, but" in read_questions(path, "--data")[0].fault
    path.write_text(of_answers([], is_impossible=False))
    assert "is_impossible is false, but" in read_questions(path, "--data")[0].fault
    path.write_text(of_answers(red, is_impossible="perhaps"))
    with pytest.raises(ValueError, match="k1.: is_impossible is the text 'perhaps'"):
        read_questions(path, "--data")


@pytest.mark.parametrize("identity", [None, float("nan"), ""])
def test_a_missing_id_is_the_position_and_that_is_said(identity, tmp_path, caplog):
    path = tmp_path / "q.json"
    row = {"context": "c", "question": "q", "answers": []}
    path.write_text(json.dumps([row | {"id": identity}, row | {"id": "2"}, row, row]))
    with caplog.at_level("INFO", logger="qa_research"):
        ids = [row.id for row in read_questions(path, "--data")]
    # "2" is taken.
    assert ids == ["0", "2", "row 2", "3"]
    assert "3 of 4 questions have no id; theirs is their position" in caplog.text


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
KEYS = ["id", "title", "context", "question", "answers", "is_impossible", "kind", "qas", "data", "text",
        "paragraphs", "columns", "detected_answers", "answer_start", "header", "annotations"]  # fmt: skip


def damaged(value, keys: list[str], new):
    """The value with what stands under some of its keys, however deep, replaced by something else."""
    if isinstance(value, dict):
        return {k: new if k in keys else damaged(v, keys, new) for k, v in value.items()}
    return [damaged(one, keys, new) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("shape", SHAPES)
@FEWER
@given(
    keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=2), new=ANYTHING, more=st.booleans()
)
def test_a_damaged_file_is_one_sentence_or_questions(shape, keys, new, more, tmp_path_factory):
    row = Question("k", "t", "It is red.", "Which?", (Gold("red", 6),), "which")
    text = SHAPES[shape]([row, row])
    if not shape.startswith("csv"):
        lines_of = [value for _, value in parse_json_values(text, "text")]
        changed = [damaged(value, keys, new) for value in lines_of]
        if more and isinstance(changed[0], dict):
            changed[0] |= dict.fromkeys(keys, new)
        text = "\n".join(map(json.dumps, changed))
    else:
        text = text.replace("red" if more else "6", str(new))
    path = tmp_path_factory.getbasetemp() / "damaged.dat"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    found = questions_or_sentence(path)
    if isinstance(found, str):
        assert found.startswith(f"--data={path}") and "\n" not in found
    else:
        assert all(isinstance(row.id, str) and row.kind for row in found)
        find_bad_rows(found)


def questions_or_sentence(path) -> list[Question] | str:
    try:
        return read_questions(path, "--data")
    except ValueError as error:
        return str(error)


BEGINNINGS = [b"", b"{", b"[", b"PAR1", b"\x1f\x8b\x08", b"id,context,question\n"]


@given(st.binary(max_size=40), st.sampled_from(BEGINNINGS))
def test_any_bytes_are_one_sentence_or_questions(tmp_path_factory, content, begin):
    path = tmp_path_factory.getbasetemp() / "any.dat"
    path.write_bytes(begin + content)
    found = questions_or_sentence(path)
    assert isinstance(found, list) or found.startswith(f"--data={path}")
