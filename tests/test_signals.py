import os
import signal
import threading

import pytest

from qa_research.signals import Signals, Stopped

STOPS = (signal.SIGINT, signal.SIGTERM)


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
    numbers = (*STOPS, signal.SIGUSR1)
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


def test_what_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Signals() as signals:
            send(signal.SIGINT)
            assert signals.stop is None
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_trains_without_signals():
    seen = []

    def listen():
        with Signals() as signals:
            seen.append(signals.stop)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [None]
