"""`train --help` and `explain --help`: each key with its value and comment, and nothing of other verbs."""

import re

import pytest

from qa_research.config import conf_directory
from qa_research.launch.help import comments_in, help_lines, show_help


def shown(config_name: str, *overrides: str, width: int = 80) -> list[str]:
    return list(help_lines(config_name, overrides, width))


def keys_of(lines: list[str]) -> list[str]:
    return [line.split("=")[0].strip() for line in lines if re.match(r"  [a-z_.]+=", line)]


def test_every_key_stands_with_its_value_and_its_comment():
    lines = shown("train", width=120)
    assert any(re.match(r"  model\.warmup_fraction=0\.1 +of all steps$", line) for line in lines)
    # The option that was chosen says why, and the part that it is made of what the key means.
    (dropout,) = (line for line in lines if line.startswith("  model.dropout=0.0 "))
    assert "null: as the weights have it; in two" in dropout
    assert "  train.stop_at={choosing/exact_match: 99.5, choosing/f1: null}" in lines


@pytest.mark.parametrize("name", ["train", "explain"])
def test_no_key_lacks_a_comment(name, composed):
    lines = shown(name, width=120)
    keys = keys_of(lines)
    assert len(keys) >= 30 and len(set(keys)) == len(keys)
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if re.match(r"  [a-z_]+(\.[a-z_]+)+=", line):
            # Behind it, or in the next line where it is too long.
            assert re.search(r"\S  +\S", line) or following.startswith(" " * 30), line


def test_the_parts_of_another_verb_are_not_shown():
    of_train, of_explain = "\n".join(shown("train")), "\n".join(shown("explain"))
    for group in ("classifier", "segmenter", "lime"):
        assert f"\n{group}" in of_explain and f"\n{group}" not in of_train
    for group in ("model", "data", "capture", "+experiment", "+launcher"):
        assert f"\n{group}=" in of_train and f"\n{group}=" not in of_explain
    assert "or segmenter=felzenszwalb, grid, slic" in of_explain


def test_what_is_chosen_on_the_command_line_is_what_is_shown():
    lines = shown("train", "model=minilm", "+experiment=overfit")
    assert "model=minilm" in lines
    assert any(line.startswith("  or model=as_weights, bert_base, bert_mini") for line in lines)
    assert any(line.startswith("  data.batch_size=10 ") for line in lines)
    with pytest.raises(ValueError, match="model.lrr; did you mean model.lr"):
        show_help("train", ["--help", "model.lrr=3"])


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["train", "explain"])
def test_it_fits_a_terminal(name, width):
    # A value is never cut, so one may be longer.
    long = [line for line in shown(name, width=width) if len(line) > width]
    assert all(re.match(r"  [a-z_.]+=\S+$", line) for line in long)


def test_comments_are_found_behind_values_lists_and_sections(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(
        "# of the file\na: 1   # one\nb: [1, 2] # two\nc: # three\n  d: '#no' # four\n"
        "  e: |\n    # text\nf: http://x#y\n"
    )
    assert comments_in(file) == {"a": "one", "b": "two", "c": "three", "c.d": "four"}


def test_every_option_says_what_it_is():
    for group in ("experiment", "launcher", "search", "model", "capture", "classifier"):
        for file in (conf_directory() / group).glob("*.yaml"):
            lines = file.read_text().splitlines()
            first = next(line for line in lines if "@package" not in line)
            assert first.startswith("# "), file
