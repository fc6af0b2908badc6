import pytest
import torch

from qa_research import threads


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
    assert capsys.readouterr().err == ""


def test_idle_cores_are_between_none_and_all():
    assert 0 <= threads.idle_cores() <= 10_000


@pytest.mark.parametrize("verb_name", ["evaluate", "predict", "ask", "attribute", "efficacy ask"])
def test_every_verb_that_computes_has_threads(verb, verb_name):
    code, out, _ = verb(*verb_name.split(), "--help")
    assert code == 0 and "--threads" in out
