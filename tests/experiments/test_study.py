"""The check of the studies: a README says what was measured, no number more, and not another one."""

import json
from pathlib import Path

import pytest

from experiments.study import HERE, PARTS, WRONG, Passages, check, differences, faults

README = f"""# A study

**Question.** Which of the 2 kinds is learned?

```
python train.py seed=1,2,3
```
| kind | right |
|---|---|
| `lookup` | 99.2 |
| `match` | 29.6 |

**Verdict.** `match` stays at
29.6 %, as [others](https://example.org/2019/27) found with F1 of 30 %.

{WRONG}
Nothing else.
"""
CLAIMS = """
def claims(measured, says):
    says.defined("the 2 kinds")
    for kind, right in measured["right"].items():
        says("| `{}` | {:.1f} |", kind, right)
    says("`match` stays at {:.1f} %", measured["right"]["match"])
    says.cited("F1 of 30 %", source="[others](https://example.org/2019/27)")
"""
MEASURE = """
import json
def measure(runs):
    return json.loads((runs / "gave.json").read_text())
"""
MEASURED = {"right": {"lookup": 99.2, "match": 29.6}}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    texts = (README, "python train.py seed=1,2,3\n", MEASURE, json.dumps(MEASURED), CLAIMS)
    for name, text in zip(PARTS, texts, strict=True):
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", sorted(path.parent.name for path in HERE.glob("*/measured.json")))
def test_the_studies_of_this_repository_hold(name):
    assert list(check(HERE / name, None)) == []


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_readme_whose_numbers_were_all_measured_holds(study):
    assert list(check(study, None)) == []


@pytest.mark.parametrize(
    ("part", "old", "new", "fault"),
    [
        (
            "README.md",
            "| `match` | 29.6 |",
            "| `match` | 30.6 |",
            "the README does not say: | `match`",
        ),
        ("README.md", "Nothing else.", "It took 65 s.", "nothing makes 65 again"),
        ("README.md", "Nothing else.", "It took 1,276 steps.", "nothing makes 1,276 again"),
        ("README.md", "Nothing else.", "It fell by -0.09.", "nothing makes 0.09 again"),
        ("README.md", "Nothing else.", "A rate of 3e-4.", "nothing makes 3e-4 again"),
        ("README.md", "Nothing else.", "Twice, or 1.5x.", "nothing makes 1.5 again"),
        ("README.md", "Nothing else.", "In 3 of them.", "nothing makes 3 again"),
        ("README.md", "seed=1,2,3", "seed=1,2", "the README shows other commands"),
        ("README.md", WRONG, "## Notes", "the README has no section"),
        ("README.md", "[others]", "[some]", "the README does not say: [others]"),
        ("measured.json", "29.6", "29.7", "the README does not say: `match` stays at 29.7 %"),
    ],
)
def test_what_does_not_follow_from_what_was_measured_is_named(study, part, old, new, fault):
    rewrite(study / part, old, new)
    assert any(found.startswith(fault) for found in check(study, None)), list(check(study, None))


@pytest.mark.parametrize("part", PARTS)
def test_a_study_without_one_of_its_parts_is_named(study, part):
    (study / part).unlink()
    assert list(check(study, None)) == [f"has no {part}"]


def test_numbers_in_code_names_and_addresses_claim_nothing():
    text = "`seed=1` of F1, v1.1 and BERT-4 at https://example.org/17 ([17](#17)), <br 5> gave\n```\n7\n```"
    assert list(faults(text.replace("https://example.org/17 ([17](#17))", "[it](#17)"), [])) == []


def test_a_passage_with_a_number_that_nothing_measured_is_refused():
    says = Passages()
    with pytest.raises(ValueError, match=r"^65 is written into 'it took 65 s and \{\}'"):
        says("it took 65 s and {}", 3)
    says("`seed=1` took {:.0f} s", 65.4)
    assert says.texts == ["`seed=1` took 65 s"]


def test_the_runs_give_what_was_kept(study, tmp_path):
    (tmp_path / "gave.json").write_text(json.dumps(MEASURED))
    assert list(check(study, tmp_path)) == []
    (tmp_path / "gave.json").write_text(json.dumps({"right": {"lookup": 99.2, "match": 29.7}}))
    assert list(check(study, tmp_path)) == [
        "measured.json: right: match is 29.6, and the runs give 29.7"
    ]


def test_differences_are_those_beyond_rounding():
    assert list(differences({"a": [0.1 + 0.2, 1]}, {"a": [0.3, 1]})) == []
    assert list(differences({"a": [1]}, {"a": [1, 2]})) == [
        "measured.json: a is [1], and the runs give [1, 2]"
    ]
    assert list(differences({"a": 1}, {})) == ["measured.json: a is 1, and the runs give None"]
