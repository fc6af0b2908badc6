"""What patching found of a question, as its film reads it."""

import json

import pytest

from qa_research.runs.patched import MOST_SHOWN, patched_question


def table(**more):
    """Two questions at two steps, and ten components of which the last moves most."""
    pairs = [
        {"id": f"q{n}", "other_asked": f"Where is {n}?", "other_answer": f"place {n}"}
        for n in (0, 1)
    ]
    steps = [
        {
            "step": step,
            "clean_by_pair": [4.0, 5.0],
            "corrupted_by_pair": [-4.0, -5.0],
            "patches": [
                {"name": f"heads.0.{head}", "by_pair": [-4.0 + head, -5.0 - head * step]}
                for head in range(10)
            ],
        }
        for step in (10, 20)
    ]
    return {"pairs": pairs, "steps": steps} | more


def write(directory, values):
    (directory / "patching").mkdir(exist_ok=True)
    (directory / "patching/patching.json").write_text(json.dumps(values))


def test_a_question_has_its_own_leads_and_the_strongest_components(tmp_path):
    assert patched_question(tmp_path, "q1") is None
    write(tmp_path, table())
    assert patched_question(tmp_path, "q2") is None
    found = patched_question(tmp_path, "q1")
    assert (found.other_asked, found.other_answer) == ("Where is 1?", "place 1")
    assert found.steps == (10, 20) and found.clean == (5.0, 5.0) and found.corrupted == (-5.0, -5.0)
    assert found.names == tuple(f"heads.0.{head}" for head in range(9, 9 - MOST_SHOWN, -1))
    assert found.leads[0][0] == -5.0 - 90 and found.leads[1][0] == -5.0 - 180


def test_a_damaged_table_is_one_sentence(tmp_path):
    steps = table()["steps"]
    for values in (
        [],
        {"pairs": []},
        table(steps=[{**steps[0], "clean_by_pair": [1.0]}]),
        table(steps=[{**steps[0], "patches": [{"name": "a", "by_pair": ["x"]}]}]),
        table(steps=[steps[0], {**steps[1], "patches": []}]),
    ):
        write(tmp_path, values)
        with pytest.raises(ValueError, match=r"patching\.json .*patch makes it again") as raised:
            patched_question(tmp_path, "q1")
        assert "\n" not in str(raised.value)
