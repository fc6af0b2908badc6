import os
import signal
import subprocess
import sys
import threading

import pytest

from qa_research.signals import Signals, Stopped, exit_code_of, one_sentence, without_debug

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_raises_where_nothing_has_to_be_finished(number):
    with Signals(), pytest.raises(Stopped) as stopped:
        send(number)
    assert stopped.value.exit_code == 128 + number
    assert str(stopped.value) == number.name


@pytest.mark.parametrize("number", STOPS)
def test_a_deferred_signal_waits_to_be_seen(number, capfd):
    with Signals() as signals:
        with signals.deferred():
            send(number)
            assert signals.stop == number
        assert "Stopping at the end of this step" in capfd.readouterr().err
        with pytest.raises(Stopped):
            signals.check()


def test_sigusr1_asks_for_a_save_and_never_interrupts():
    with Signals() as signals:
        send(signal.SIGUSR1)
        assert signals.save and signals.stop is None
        signals.check()


def test_the_first_of_several_signals_counts():
    with Signals() as signals, signals.deferred():
        send(signal.SIGTERM)
        send(signal.SIGINT)
        assert signals.stop == signal.SIGTERM


def test_handlers_are_put_back_also_after_an_error_and_taken_again_when_asked():
    numbers = STOPS
    before = [signal.getsignal(number) for number in numbers]

    def fail():
        with Signals() as signals:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signals.listen()
            assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, None)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_was_ignored_stays_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Signals() as signals:
            send(number)
            assert signals.stop is None
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_request_to_save_that_comes_too_late_does_not_kill():
    before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    try:
        for _ in range(2):
            with Signals() as signals:
                send(signal.SIGUSR1)
                assert signals.save
            send(signal.SIGUSR1)
        with Signals() as outer:
            with Signals():
                pass
            send(signal.SIGUSR1)
            assert outer.save
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_terminal_that_is_gone_is_written_to_no_more(tmp_path, monkeypatch):
    path = tmp_path / "terminal"
    place = os.open(path, os.O_WRONLY | os.O_CREAT)
    monkeypatch.setattr(os, "isatty", lambda number: number == place)
    monkeypatch.setattr("qa_research.signals.STDERR", place)
    with Signals() as signals, signals.deferred():
        send(signal.SIGHUP)
        assert signals.stop == signal.SIGHUP
    os.write(place, b"more")
    os.close(place)
    assert path.read_text() == ""


def test_who_serves_another_process_ignores_signals_and_ends_with_it():
    code = (
        "import os, signal, subprocess, sys, time\n"
        "from qa_research.signals import held_back, serve_only_the_parent\n"
        "with held_back():\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        time.sleep(0.3)\n"
        "        serve_only_the_parent()\n"
        "        print('ready', os.getpid(), flush=True)\n"
        "        time.sleep(60)\n"
        "for name in ('SIGTERM', 'SIGINT', 'SIGHUP'):\n"
        "    os.kill(child, getattr(signal, name))\n"
        "time.sleep(0.6)\n"
        "print(os.waitpid(child, os.WNOHANG), flush=True)\n"
        "os._exit(0)\n"
    )
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    # It returns once the child, which shares this pipe, has ended as well.
    assert started.stdout.splitlines()[-1] == "(0, 0)" and "ready" in started.stdout, started


def test_another_thread_trains_without_signals():
    seen = []

    def listen():
        with Signals() as signals:
            seen.append(signals.stop)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [None]


def test_the_exit_code_is_the_works_own_or_0():
    assert exit_code_of(lambda: None, debug=False, resume_command="") == 0
    assert exit_code_of(lambda: 7, debug=False, resume_command="") == 7


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("seed must be\n  at least 0"), "seed must be at least 0"),
        (
            FileNotFoundError(2, "No such file or directory", "a.json"),
            "No such file or directory: a.json",
        ),
        (OSError("a.json is a folder"), "a.json is a folder"),
        (ValueError(), "ValueError"),
    ],
)
def test_an_error_of_the_users_is_one_sentence_and_exit_code_2(capsys, error, sentence):
    assert exit_code_of(raising(error), debug=False, resume_command="") == 2
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", f"qa-research: {sentence}\n")


def raising(error: BaseException):
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(("error", "debug"), [(ValueError("x"), True), (KeyError("x"), False)])
def test_tracebacks_are_for_debugging_and_for_the_programs_own_errors(error, debug):
    with pytest.raises(type(error)):
        exit_code_of(raising(error), debug=debug, resume_command="")


def test_a_reader_that_is_gone_is_no_error_of_the_users(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    assert exit_code_of(raising(BrokenPipeError()), debug=False, resume_command="") == 1
    sys.stdout.close()
    assert capsys.readouterr().err == ""


def test_a_stopped_program_says_how_to_resume_and_leaves(monkeypatch, capsys):
    monkeypatch.setattr("qa_research.signals.leave", sys.exit)
    with pytest.raises(SystemExit) as leaving:
        exit_code_of(raising(Stopped(signal.SIGINT)), False, "qa-research efficacy tiny")
    assert leaving.value.code == 130
    said = capsys.readouterr().err
    assert said == "Stopped by SIGINT. Resume with: qa-research efficacy tiny\n"


def test_a_library_whose_clean_up_fails_after_a_signal_was_stopped(monkeypatch, capsys):
    def work():
        try:
            raise Stopped(signal.SIGINT)
        finally:
            try:
                raise AttributeError("'NoneType' object has no attribute '_invalidate_flags_cache'")
            except AttributeError as error:
                raise RuntimeError("composing failed") from error

    left = []
    monkeypatch.setattr("qa_research.signals.leave", left.append)
    exit_code_of(work, False, "python train.py")
    assert left == [130]
    assert capsys.readouterr().err == "Stopped by SIGINT. Resume with: python train.py\n"


def test_a_full_disk_while_stopping_is_said(monkeypatch, capsys):
    def work():
        try:
            raise Stopped(signal.SIGINT)
        except Stopped:
            raise OSError(28, "No space left on device", "last.ckpt")  # noqa: B904

    assert exit_code_of(work, False, "python train.py") == 2
    assert capsys.readouterr().err == "qa-research: No space left on device: last.ckpt\n"


def test_debug_may_be_anywhere():
    assert without_debug(["ask", "--debug", "RUN"]) == (["ask", "RUN"], True)
    assert without_debug(["ask", "RUN"]) == (["ask", "RUN"], False)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(28, "No space left on device", "runs/a"), "No space left on device: runs/a"),
        (OSError("the checkpoints need room"), "the checkpoints need room"),
        (ValueError("a [Errno 28] No space left\non device"), "a No space left on device"),
        (KeyError(), "KeyError"),
    ],
)
def test_what_went_wrong_is_a_sentence_without_the_systems_number(error, sentence):
    assert one_sentence(error) == sentence
