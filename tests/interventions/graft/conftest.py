"""A run whose network is set by hand."""

import pytest

from qa_research.runs.open import open_run
from tests.interventions.graft.planted import SIZES, write_questions


@pytest.fixture(scope="session")
def letters(cache, tmp_path_factory):
    """An opened run of questions about letters, which has trained nothing."""
    from qa_research.cli.verbs import run

    place = tmp_path_factory.mktemp("letters")
    data = [
        f"data.{split}_path={write_questions(place / f'{split}.json', count)}"
        for split, count in (("train", 60), ("validation", 160))
    ]
    assert (
        run(["train", *SIZES, *data, f"paths.runs={place / 'runs'}", f"paths.cache={cache}"]) == 0
    )
    (record,) = (place / "runs").rglob("run.json")
    return open_run(record.parent, "last")
