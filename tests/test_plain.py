"""YAML from outside: what is no plain description is one sentence with the file."""

import re
from pathlib import Path

import pytest

from qa_research.plain import parse_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: " + "[" * 10_000 + "]" * 10_000, "is nested too deeply: more than 50 levels"),
        # libyaml's composer ends the process here.
        ("a: " + "[" * 200_000, "is nested too deeply: more than 50 levels"),
        ("{a: " * 300 + "1" + "}" * 300, "is nested too deeply: more than 50 levels"),
        (BOMB, "holds more than 100,000 values, aliases followed"),
        ("a: &a [*a]", r"has a value that contains itself: \*a"),
        ("a: &a {<<: *a}", r"has a value that contains itself: \*a"),
        ("a: *b", "is not valid YAML: found undefined alias at line 1, column 4"),
        ("a: [1", "is not valid YAML: "),
        ("a: 1\n---\nb: 1\n", "is not valid YAML: expected a single document"),
        ("a: \0", "is not valid YAML: unacceptable character"),
        (
            "a: !!python/object/apply:os.mkdir ['owned']",
            "could not determine a constructor for the tag",
        ),
        (
            "a: " + "9" * 6000,
            "has a number or date that cannot be read: it has thousands of digits",
        ),
        ("a: 2026-13-01", "has a number or date that cannot be read: month must be in 1..12"),
        ("a: {b: 0x" + "f" * 17 + "}", "has an integer of more than 64 bits: a.b"),
        ("a: " + ":".join(["59"] * 5000), "has an integer of more than 64 bits: a"),
        ("a: [1, 2026-11-26]", r"has a date: a\.1; texts, numbers"),
        ("a: !!binary aGVsbG8=", "has a bytes: a; texts, numbers"),
        ("a: !!set {b}", "has a set: a; texts, numbers"),
        ("a: {5: 1}", "has the key 5, which is not text"),
    ],
    ids=lambda text: text[:20],
)
def test_yaml_that_is_no_description_is_one_sentence(text, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=sentence) as refusal:
        parse_yaml(text, "a file.yaml")
    said = str(refusal.value)
    assert said.startswith("a file.yaml ") and "\n" not in said and len(said) < 400
    assert not list(tmp_path.iterdir())


def test_yaml_may_repeat_itself():
    assert parse_yaml("a: &a [1, 2.5, x]\nb: {c: *a, d: null, e: .inf}\n", "x") == {
        "a": [1, 2.5, "x"],
        "b": {"c": [1, 2.5, "x"], "d": None, "e": float("inf")},
    }
    assert parse_yaml(f"a: {2**63 - 1}\nb: {-(2**63)}", "x") == {"a": 2**63 - 1, "b": -(2**63)}


def test_yaml_from_outside_is_read_in_one_place():
    found = [
        path.name
        for path in Path("src").rglob("*.py")
        if re.search(r"yaml\.(safe_)?load|OmegaConf\.load", path.read_text(encoding="utf-8"))
    ]
    # conf/ is our own.
    assert sorted(found) == ["config.py", "help.py", "plain.py"]
