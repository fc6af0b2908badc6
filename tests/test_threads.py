import os

import pytest
import torch
import zarr

from qa_research import threads
from tests.verbs import VERBS


@pytest.fixture(autouse=True)
def _as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_idle_share_is_that_of_the_time_between_two_readings():
    before = "cpu  10 0 0 50 0 0 0 0 0 0\ncpu0 1 2 3\n"
    assert threads.idle_share(before, "cpu  40 0 0 55 5 0 0 0 0 0\ncpu0 1 2 3\n") == 0.25
    assert threads.idle_share(before, before) == 1.0


@pytest.mark.parametrize(
    ("idle", "most", "wanted"), [(1.9, 2, 2), (0.3, 2, 1), (-3.0, 8, 1), (5.2, 8, 5), (9.0, 4, 4)]
)
def test_a_thread_needs_an_idle_core_and_one_is_always_used(monkeypatch, idle, most, wanted):
    monkeypatch.setattr(threads, "idle_cores", lambda: idle)
    assert threads.free_threads(most) == wanted


def test_fewer_threads_than_usual_are_said_and_those_asked_for_are_used(monkeypatch, capsys):
    torch.set_num_threads(4)
    monkeypatch.setattr(threads, "idle_cores", lambda: 1.2)
    assert threads.use_threads(None) == torch.get_num_threads() == 1
    assert "only 1 core is idle" in capsys.readouterr().err
    assert threads.use_threads(3) == torch.get_num_threads() == 3
    assert threads.use_threads(None, is_quick=True) == 1
    assert capsys.readouterr().err == ""


def test_idle_cores_are_between_none_and_all():
    assert 0 <= threads.idle_cores() <= 10_000


# With a run's network, on a tokenizer, or from a recording. Their work is divided among threads.
COMPUTING = {
    *("evaluate", "predict", "ask", "forward", "attribute", "efficacy ask", "watch", "report"),
    *("probe", "weights", "data-map", "influence", "graft", "patch"),
    *("squad show", "squad browse", "squad stats"),
}
# Their keys come from conf/: train.threads, and threads of explain.
WITH_KEYS = {"train", "sanity", "resume", "explain", "replay", "fork", "what-if"}
WITH_ONE_THREAD = {
    *("runs list", "runs show", "runs compare", "runs scan", "runs remove", "efficacy table"),
    *("bundle", "runs import"),
    *(
        "efficacy plot",
        "squad search",
        "squad shift",
        "squad repeats",
        "score",
        "export",
        "ledger sql",
    ),
    # It measures what threads are worth.
    *("ledger export", "ledger import", "doctor"),
    *("stacks", "stacks show", "stacks list"),
    *("stacks flame", "stacks tree", "stacks search", "stacks compare", "stacks speedscope"),
}


def test_every_verb_that_computes_has_threads():
    assert VERBS.keys() == COMPUTING | WITH_KEYS | WITH_ONE_THREAD
    with_option = {
        name for name, verb in VERBS.items() if any("--threads" in p.opts for p in verb.params)
    }
    assert with_option == COMPUTING


@pytest.mark.parametrize(
    "use",
    [threads.use_threads, threads.use_threads_of_tokenizers, threads.use_threads_of_recordings],
)
def test_each_says_what_it_chose_unless_it_only_reads(use, monkeypatch, capsys):
    monkeypatch.setattr(threads, "_cores", lambda: 4)
    torch.set_num_threads(4)
    monkeypatch.setattr(threads, "idle_cores", lambda: 2.2)
    with zarr.config.set({}):
        assert use(None) == 2
        is_long = use is not threads.use_threads_of_recordings
        assert ("only 2 cores are idle" in capsys.readouterr().err) == is_long
        assert use(3) == 3 and capsys.readouterr().err == ""


def test_tokenizers_and_recordings_get_as_many(monkeypatch):
    monkeypatch.setenv("RAYON_NUM_THREADS", "7")
    threads.use_threads(3)
    assert os.environ["RAYON_NUM_THREADS"] == "3"
    with zarr.config.set({"threading.max_workers": None}):
        threads.use_threads_of_recordings(2)
        assert zarr.config.get("threading.max_workers") == zarr.config.get("async.concurrency") == 2


def test_threads_of_a_question_belong_to_a_run(verb):
    code, _, err = verb("squad", "show", "0", "--threads", "2")
    assert code == 2 and "--threads=2 belongs to --run RUN" in err
