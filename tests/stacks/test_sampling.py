"""Sampling: shares are what they are, runs are what they would be, and programs end as they would alone."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from scipy.stats import binomtest

from qa_research.ledger.runs import Ledger
from qa_research.ledger.stacks import list_recordings, read_recording
from qa_research.sampled import (
    ASKED,
    FOLDER,
    INSISTED,
    NUMBER,
    Announcement,
    _where_it_was,
    cores,
    processors,
)
from qa_research.stacks.collecting import collect
from qa_research.stacks.dumps import DumpReader
from qa_research.stacks.launching import own_folder, sample_command
from qa_research.stacks.sampler import Sampler
from qa_research.stacks.telling import uniformity
from tests.tiny_run import TINY

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
TRAIN = [sys.executable, str(ROOT / "train.py")]
# `qa-research stacks`, wherever the script is installed.
STACKS = [sys.executable, "-c", "from qa_research.cli.main import main; main()", "stacks"]


def test_a_recording_comes_back_as_it_was_written(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from qa_research.sampled import answer_if_asked\nanswer_if_asked()\nimport time\n"
        "def nap():\n    time.sleep(1.5)\nnap()\n"
    )
    with own_folder() as folder:
        sampler, code = sample_command([sys.executable, str(program)], 0.01, 3, folder)
        ((recording, ledger),) = collect(sampler, tmp_path)
    assert code == 0 and ledger == tmp_path / "ledger.sqlite"
    naps = [
        sample for sample in recording.samples if any(f.function == "nap" for f in sample.stack)
    ]
    assert naps and naps[0].stack[-1].text == "time.sleep(1.5)"
    assert naps[0].stack[-1].file == f"{tmp_path.name}/program.py"
    assert recording.samples[0].phase == "starting Python" and recording.from_s == 0
    assert all(sample.memory_mb is None or sample.memory_mb > 1 for sample in recording.samples)
    from qa_research.stacks.collecting import keep

    keep([(recording, ledger)] * 2)
    with Ledger(ledger, read_only=True) as opened:
        entries = list_recordings(opened)
        assert [read_recording(opened, entry.number) for entry in entries] == [recording] * 2
    connection = sqlite3.connect(ledger)
    counted = connection.execute(
        "SELECT tally FROM function_tally WHERE function = 'nap' AND recording_id = 1"
    ).fetchall()
    assert counted == [(len(naps),)]
    (tally,) = connection.execute("SELECT sum(tally) FROM call_sequence").fetchone()
    assert tally == 2 * len(recording.samples)


@pytest.mark.slow
@pytest.mark.parametrize("beside", [[], ["two workers"]], ids=["alone", "with two workers"])
def test_shares_are_those_of_a_program_that_knows_them(tmp_path, beside):
    told = tmp_path / "told.json"
    words = [sys.executable, str(HERE / "known_shares.py"), str(told), "12", *beside]
    with own_folder() as folder:
        sampler, code = sample_command(words, 0.008, 7, folder)
        ((recording, _),) = collect(sampler, tmp_path)
    assert code == 0
    spent = json.loads(told.read_text())
    working = [
        {frame.function for frame in sample.stack} & spent.keys()
        for sample in recording.samples
        if any(frame.function == "work" for frame in sample.stack)
    ]
    assert len(working) > 500
    total = sum(spent.values())
    for way, seconds in spent.items():
        seen = sum(way in functions for functions in working)
        interval = binomtest(seen, len(working)).proportion_ci(0.999, method="exact")
        assert interval.low <= seconds / total <= interval.high, (way, seen, len(working))
    p_value = uniformity(recording)
    assert p_value is not None and p_value > 1e-3


# With TINY some 10 ms each, of which a third is backward.
STEPS = 150


def trained(runs, *words):
    """Train a tiny run in a process of its own, after these words; its output."""
    longer = (f"trainer.max_epochs={STEPS // 6}", "trainer.check_val_every_n_epoch=5")
    places = (f"paths.runs={runs}", f"paths.cache={runs}/cache")
    command = [*words, *TRAIN, *TINY, *longer, *places]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_process_that_dies_before_it_answers_ends_its_sampling(tmp_path):
    program = tmp_path / "program.py"
    # Stopped, it can neither answer nor be made to.
    program.write_text(
        "import os, signal, subprocess, time\n"
        "from qa_research.sampled import answer_if_asked\nanswer_if_asked()\ntime.sleep(0.3)\n"
        "subprocess.Popen(['sh', '-c', f'sleep 0.5; kill -9 {os.getpid()}'])\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    with own_folder() as folder:
        environment = {**os.environ, FOLDER: str(folder)}
        process = subprocess.Popen([sys.executable, str(program)], env=environment)
        sampler = Sampler(folder, 0.01, 1, time.monotonic())

        def has_been_dead_for_a_while():
            ended = [t.ended_s for t in sampler.targets if t.ended_s is not None]
            return bool(ended) and time.monotonic() > ended[0] + 0.2

        sampler.run_until(has_been_dead_for_a_while)
        sampler.end()
        process.wait()
        ((recording, _),) = collect(sampler, tmp_path)
    assert recording.ending == "died"
    assert all(sample.memory_mb is None or sample.memory_mb > 1 for sample in recording.samples)


def test_a_question_that_is_answered_as_a_function_is_entered_was_asked_before_it():
    def entered(number):
        return number

    def calls():
        return entered(1)

    frames = []

    def at_entry(frame, event, _):
        if event == "call" and frame.f_code is entered.__code__:
            frames.append((_where_it_was(frame).f_code, frame.f_lasti))

    sys.setprofile(at_entry)
    try:
        calls()
    finally:
        sys.setprofile(None)
    # The call is reported at the entry, where nothing of the function has run.
    assert frames == [(calls.__code__, frames[0][1])]
    here = sys._getframe()
    assert _where_it_was(here) is here and _where_it_was(None) is None


SWEEP = """
import sys, time
from qa_research.sampled import answer_if_asked, asked_for
answer_if_asked()
announcement = asked_for()
for name in ("first", "second"):
    announcement.run_started(id=name, name=name, directory=f"{sys.argv[1]}/study/{name}")
    time.sleep(0.3)
    for step in (1, 2):
        announcement.step_ended(step)
        time.sleep(0.3)
    announcement.run_ended()
"""


def test_each_run_of_a_sweep_has_its_own_steps(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(SWEEP)
    with own_folder() as folder:
        sampler, _ = sample_command([sys.executable, str(program), str(tmp_path)], 0.01, 1, folder)
        recordings = [recording for recording, _ in collect(sampler, tmp_path)]
    assert [recording.run_id for recording in recordings] == ["first", "second"]
    for recording in recordings:
        steps = [sample.step for sample in recording.samples]
        assert steps == sorted(steps, key=lambda step: step or 0)
        assert set(steps) == {None, 1, 2}


def test_processors_that_share_a_core_count_once():
    assert 1 <= cores() <= processors()


def results(runs):
    """What a run came to: its curves without the times, its weights' digest."""
    import torch

    (directory,) = runs.glob("nopretrain/*")
    weights = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    lines = (directory / "metrics.csv").read_text().splitlines()
    return lines, {name: value.numpy().tobytes() for name, value in weights.items()}


@pytest.mark.slow
def test_a_sampled_run_is_bit_for_bit_the_same(tmp_path):
    trained(tmp_path / "alone")
    output = trained(tmp_path / "sampled", *STACKS, "--every", "0.01", "--")
    assert "samples in" in output
    assert results(tmp_path / "alone") == results(tmp_path / "sampled")
    with Ledger(tmp_path / "sampled" / "ledger.sqlite", read_only=True) as ledger:
        (entry,) = list_recordings(ledger)
        recording = read_recording(ledger, entry.number)
    assert recording.facts["parameters"].keys() == {"float32"} and recording.ending == "ended"
    phases = {sample.phase for sample in recording.samples}
    assert {"starting Python", "imports", "forward", "backward"} <= phases
    assert sum(sample.phase == "unknown" for sample in recording.samples) <= 0.05 * entry.samples
    assert max(sample.step or 0 for sample in recording.samples) > 0
    # Nothing of it stays in the run.
    (directory,) = (tmp_path / "sampled").glob("nopretrain/*")
    assert not list(directory.glob("stacks*"))


@pytest.mark.slow
def test_each_process_of_a_distributed_training_is_told_apart(tmp_path):
    words = ["trainer=ddp", "trainer.devices=2", "+stacks=default", "stacks.mean_interval_s=0.02"]
    command = [*TRAIN, *TINY, *words, f"paths.runs={tmp_path}", f"paths.cache={tmp_path}/cache"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    with Ledger(tmp_path / "ledger.sqlite", read_only=True) as ledger:
        entries = list_recordings(ledger)
    assert sorted(entry.rank for entry in entries) == [0, 1]
    assert len({entry.run_id for entry in entries}) == 1 and entries[0].run_id is not None
    assert all(entry.samples > 20 for entry in entries)


@pytest.mark.slow
def test_hundreds_of_samples_in_a_job_of_submitit_requeue_and_save_nothing(tmp_path):
    words = [
        "-m",
        "+launcher=submitit_local",
        "+stacks=default",
        "stacks.mean_interval_s=0.01",
        "seed=1",
    ]
    command = [*TRAIN, *words, *TINY, f"paths.runs={tmp_path}", f"paths.cache={tmp_path}/cache"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    with Ledger(tmp_path / "ledger.sqlite", read_only=True) as ledger:
        (entry,) = list_recordings(ledger)
        (run,) = ledger.runs()
    assert entry.samples >= 300 and run.status == "finished" and entry.run_id == run.id
    logs = "".join(path.read_text() for path in tmp_path.rglob("*.err"))
    logs += "".join(path.read_text() for path in tmp_path.rglob("*.out"))
    # What submitit and a training say when a signal comes; a verdict on a slow disk may say "saved", too.
    assert not re.search(
        "requeue|Bypassing|Caught signal|Saved step|Stopped by", logs, re.IGNORECASE
    )


@pytest.mark.slow
def test_sampling_ends_when_the_training_is_killed(tmp_path):
    command = [*TRAIN, *TINY, "+stacks=default", "trainer.max_epochs=500", f"paths.runs={tmp_path}"]
    command.append(f"paths.cache={tmp_path}/cache")
    with (tmp_path / "stderr").open("w") as stderr:
        process = subprocess.Popen(command, cwd=ROOT, stderr=stderr)
    steps = tmp_path / "metrics.csv"
    deadline = time.monotonic() + 90
    while not any(tmp_path.glob("*/*/metrics.csv")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.kill()
    process.wait()
    while "died" not in (said := (tmp_path / "stderr").read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "the process died while it was sampled" in said, (said, steps)


def test_a_running_training_is_sampled_by_its_number_and_goes_on(tmp_path):
    program = tmp_path / "announced.py"
    directory = tmp_path / "study" / "run"
    directory.mkdir(parents=True)
    program.write_text(
        "import time, sys; from pathlib import Path\n"
        "from qa_research.sampled import Announcement\n"
        f"a = Announcement(Path({str(directory)!r}), 'stacks')\n"
        f"a.run_started(id='1', name='study/run', directory={str(directory)!r})\n"
        "print('ready', flush=True); time.sleep(9); a.run_ended(); a.withdraw(remove=True)\n"
    )
    words = [sys.executable, str(program)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        words = [*STACKS, "--pid", str(process.pid), "--runs", str(tmp_path), "--seconds", "1"]
        for _ in range(2):
            done = subprocess.run([*words, "--every", "0.01"], capture_output=True, text=True)
            assert done.returncode == 0 and "study/run" in done.stderr, done.stderr
    assert process.returncode == 0
    assert not list(directory.iterdir())
    with Ledger(tmp_path / "ledger.sqlite", read_only=True) as ledger:
        for entry in (entries := list_recordings(ledger)):
            recording = read_recording(ledger, entry.number)
            assert recording.ending == "stopped"
            # The second time as well.
            assert sum(bool(sample.stack) for sample in recording.samples) > 0.8 * entry.samples
    assert len(entries) == 2


def test_outside_the_main_thread_nothing_is_announced_and_no_file_stays(tmp_path):
    refused = []

    def announce():
        try:
            Announcement(tmp_path, "one")
        except ValueError as error:
            refused.append(str(error))

    thread = threading.Thread(target=announce)
    thread.start()
    thread.join()
    assert "outside its main thread" in refused[0] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "stacks samples one thing"),
        (["--pid", "4", "--", "true"], "stacks samples one thing"),
        (["--", "no-such-command"], "there is no command 'no-such-command'"),
        (["--", "true"], "true did not say that it can be sampled"),
        (["--every", "0", "--", "true"], "--every must be a number of seconds above 0, got 0"),
        (["--every", "nan", "--", "true"], "--every must be a number of seconds above 0, got nan"),
        (["--pid", "4194305"], "there is no process 4194305"),
        (["--pid", str(os.getppid())], "trains no run in"),
    ],
)
def test_what_cannot_be_sampled_is_one_sentence(tmp_path, words, sentence):
    done = subprocess.run(
        [*STACKS, "--runs", str(tmp_path), *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2 and sentence in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1


def test_the_exit_code_is_that_of_the_command(tmp_path):
    done = subprocess.run([*STACKS, "--", "sh", "-c", "exit 7"], capture_output=True, text=True)
    assert done.returncode == 7 and "sampled" not in done.stderr.replace(
        "No stacks were sampled", ""
    )


PROGRAM_OF_ITS_OWN_HANDLER = """
import signal, sys
from pathlib import Path
from qa_research.sampled import ASK, answer_if_asked
signal.signal(ASK, lambda *_: None)
answer_if_asked()
"""


def test_a_program_that_handles_the_signal_itself_is_left_alone(tmp_path):
    program = tmp_path / "own.py"
    program.write_text(PROGRAM_OF_ITS_OWN_HANDLER)
    words = [*STACKS, "--runs", str(tmp_path), "--", sys.executable, str(program)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2 and "this program handles signal" in done.stderr


def questions(announcement, path):
    """Ask and insist as the sampler does, by hand."""
    shared = path.with_suffix(".shared")

    def ask(number, insist):
        with shared.open("r+b") as file:
            file.seek(INSISTED if insist else ASKED)
            file.write(NUMBER.pack(number))
        os.kill(os.getpid(), announcement._said["insist" if insist else "ask"])

    return ask


def test_a_handler_that_a_library_installs_again_does_not_end_the_answers(tmp_path):
    """Lightning restores every handler that Python knows of, and so removes faulthandler's."""
    announcement = Announcement(tmp_path, "one")
    ask = questions(announcement, announcement.path)
    reader = DumpReader(tmp_path / "one.dumps", threading.main_thread().ident)
    try:
        for number in range(1, 7):
            if number == 3:
                for name in ("ask", "insist"):
                    signal_number = announcement._said[name]
                    signal.signal(signal_number, signal.getsignal(signal_number))
            if number % 2:
                ask(number, insist=False)
            else:
                reader.mark(number)
                ask(number, insist=True)
        dumps = list(reader.last())
    finally:
        announcement.withdraw(remove=True)
        reader.close()
    assert [dump.number for dump in dumps] == [1, 2, 3, 4, 5, 6]
    for dump in dumps:
        main = next(t for t in dump.threads if t.thread == threading.main_thread().ident)
        assert "ask" in {frame.function for frame in main.frames}
    # One that comes too late ends nothing.
    for name in ("ask", "insist"):
        os.kill(os.getpid(), announcement._said[name])


def test_a_question_that_was_insisted_on_is_not_answered_twice(tmp_path):
    announcement = Announcement(tmp_path, "one")
    ask = questions(announcement, announcement.path)
    try:
        ask(1, insist=True)
        ask(1, insist=False)
        assert (tmp_path / "one.dumps").read_bytes().count(b"most recent call first") == 1
    finally:
        announcement.withdraw(remove=True)


def test_a_full_disk_ends_no_training(tmp_path, caplog):
    import resource

    announcement = Announcement(tmp_path, "one")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        announcement.run_started(id="1", name="study/run", directory=str(tmp_path))
        announcement.step_ended(1)
        announcement.step_ended(2)
        os.kill(os.getpid(), announcement._said["ask"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        announcement.withdraw(remove=True)
    assert caplog.text.count("Steps are no longer written") == 1
    assert caplog.text.count("cannot be found by `stacks --pid`") == 1
    assert not list(tmp_path.iterdir())
