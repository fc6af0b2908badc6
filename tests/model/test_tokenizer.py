import subprocess
import sys

import pytest

from qa_research.model.tokenizer import load_tokenizer, trained_wordpiece
from qa_research.tasks.answering.question import texts_of


def test_training_gives_whole_words_and_lower_case(tokenizer):
    assert tokenizer.tokenize("Ms Lund TEACHES chess") == ["ms", "lund", "teaches", "chess"]


def test_the_vocabulary_is_bounded_and_starts_with_the_special_tokens(questions, tmp_path):
    small = trained_wordpiece(texts_of(questions), 70, tmp_path)
    assert len(small) <= 70
    assert small.convert_ids_to_tokens(range(5)) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def test_the_order_of_texts_does_not_matter(questions, tmp_path):
    first = trained_wordpiece(texts_of(questions), 400, tmp_path / "a")
    second = trained_wordpiece(texts_of(questions[::-1]), 400, tmp_path / "b")
    assert first.get_vocab() == second.get_vocab()


def test_another_process_trains_the_same_vocabulary(tmp_path):
    code = (
        "import sys; from pathlib import Path; from qa_research.tasks.answering.corpus import generate;"
        "from qa_research.model.tokenizer import trained_wordpiece;"
        "from qa_research.tasks.answering.question import texts_of;"
        "trained_wordpiece(texts_of(generate(0).validation), 2000, Path(sys.argv[1]))"
    )
    for name in ("a", "b"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True)
    first, second = (next((tmp_path / name).iterdir()) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_a_second_training_is_read_from_the_cache(questions, tmp_path):
    trained_wordpiece(texts_of(questions), 400, tmp_path)
    (file,) = tmp_path.iterdir()
    before = file.stat().st_mtime_ns
    trained_wordpiece(texts_of(questions), 400, tmp_path)
    assert file.stat().st_mtime_ns == before


def test_a_saved_tokenizer_reads_the_same(tokenizer, questions, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    again = load_tokenizer(str(tmp_path), "model.tokenizer")
    text = (questions[0].question, questions[0].context)
    assert again(*text).input_ids == tokenizer(*text).input_ids


def test_a_missing_tokenizer_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.tokenizer=.*is not a directory"):
        load_tokenizer(str(tmp_path / "none"), "model.tokenizer")
