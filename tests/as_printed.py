"""Run the commands of README.md and docs/ as they are printed: `python -m tests.as_printed [PAGE.md]...`

In a fresh clone, each in a shell that knows nothing (`env -i`), after the line that activates the environment
where a page does not have it. What is replaced, shortened and skipped, and why, is in commands.py.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.commands import MANUAL, README, ROOT, SHORT_TRAINING, printed

ACTIVATE = "source .venv/bin/activate"
MOST_SECONDS = 170
# What the pages count on: the runs that RUN, A and B stand for (of three seeds, the third is removed), with
# kept steps, a recording of the question ID and sampled stacks; the default run; something that was asked.
PREPARED = (
    "qa-research stacks -- python train.py -m seed=1,2,3 study=printed checkpoint.keep_every_n_steps=2 "
    "capture.every_n_steps=2 'capture.questions=[builtin-validation-00003]' "
    + SHORT_TRAINING.replace("data.validation_questions=96 ", "").replace("steps=2", "steps=4"),
    f"python train.py {SHORT_TRAINING}",
    "qa-research efficacy ask printed/bert_tiny-random-builtin-s1 --questions 30",
    # What run_qa leaves: a model, and below it one of each checkpoint.
    "qa-research export printed/bert_tiny-random-builtin-s1 yours/run_qa",
    "qa-research export printed/bert_tiny-random-builtin-s1 yours/run_qa/checkpoint-500",
)


def clone(folder: Path) -> Path:
    """A fresh clone with the files that a page calls yours; its environment is that of this checkout."""
    made = folder / "qa_research"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(made)], check=True)
    if not (made / ".venv").exists():
        (made / ".venv").symlink_to(Path(sys.prefix))
    make_files(made)
    return made


def short_demo() -> str:
    """What `make demo` trains, in a few steps."""
    (command,) = re.findall(
        r"^demo:.*\n\t@\$\(BIN\)/(python .*)$", (ROOT / "Makefile").read_text(), re.M
    )
    return f"{command} trainer.max_steps=20 data.validation_questions=60 model.warmup_fraction=0.0"


def make_files(folder: Path) -> None:
    """What a reader has and a clone does not."""
    code = """
import json, pathlib
from skimage import data, io
from qa_research.tasks.answering.corpus import generate
from qa_research.tasks.answering.squad import squad_json
from qa_research.tasks.sequences.motifs import generate as with_motifs
corpus, yours = generate(0), pathlib.Path("yours")
yours.mkdir()
for name in ("train-v1.1", "dev-v1.1"):
    rows = corpus.train[:120] if name.startswith("train") else corpus.validation[:120]
    (yours / f"{name}.json").write_text(json.dumps(squad_json(rows, "1.1")))
(yours / "mine.json").write_text(json.dumps(squad_json(corpus.train[:600], "1.1")))
(yours / "dev-v2.0.json").write_text(json.dumps(squad_json(corpus.validation[:120], "v2.0")))
rows = [{"id": r.id, "context": r.context, "question": r.question} for r in corpus.validation[:20]]
(yours / "new.jsonl").write_text("\\n".join(map(json.dumps, rows)))
rows = [f"{r.letters},{r.label}" for r in with_motifs(0, "train", 200)]
(yours / "sequences.csv").write_text("\\n".join(["sequence,label", *rows]))
pairs = ["label\\tsentence1\\tsentence2"]
for kind in range(100):
    pairs += [f"1\\tAnn has {kind} hats.\\tHats: {kind}.", f"0\\tBob has {kind} hats.\\tHats: none, {kind}."]
for name in ("pairs", "dev"):
    (yours / f"{name}.tsv").write_text("\\n".join(pairs))
answers = {r.id: r.answers[0].text for r in corpus.validation[:120]}
pathlib.Path("predictions.json").write_text(json.dumps(answers))
pathlib.Path("notice.txt").write_text("Group K meets in the barn. Ms Lund teaches group B.")
io.imsave("dog.jpg", data.chelsea()[::2, ::2])
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)


def run(text: str, folder: Path, before: list[str]) -> tuple[int, str]:
    """The exit code and the output of a command, in a clean shell; a server is stopped once it serves."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder / "home"),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    is_server = text.startswith("tensorboard")
    if is_server:
        text = f"timeout 25 {text} --port 0 2>&1 | grep -m1 http"
    script = "\n".join(["set -e", *before, text])
    try:
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-c", script],
            cwd=folder,
            env=environment,
            input="y\n",
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return 124, f"not done after {MOST_SECONDS} s"
    return done.returncode, done.stdout + done.stderr


def run_page(page: Path, folder: Path, names: dict[str, str]) -> list[str]:
    """Run the commands of a page in their order, with whole names of runs; what failed."""
    failed = []
    before: list[str] = (
        [] if ACTIVATE in {command.text for command in printed(page)} else [ACTIVATE]
    )
    for command in printed(page):
        if reason := command.reason_to_skip:
            say(f"skipped {command} ({reason})")
            continue
        if command.text == ACTIVATE or re.match(r"[A-Z]+=\S*$", command.text):
            # What a shell remembers.
            before.append(command.text)
            continue
        runnable = re.sub(
            r"(?<=printed/)[\w-]+", lambda name: names.get(name[0], name[0]), command.runnable
        )
        started = time.monotonic()
        code, output = run(runnable, folder, before)
        say(
            f"{'ok     ' if code == 0 else 'FAILED '} {time.monotonic() - started:4.0f} s  {command}"
        )
        if code:
            failed.append(f"{command}\n  run as: {runnable}\n{output[-1500:]}")
    return failed


def whole_names(folder: Path) -> dict[str, str]:
    """Of each prepared run, by what the placeholders call it, with which the name of a fork begins, too."""
    return {run.name.rsplit("-", 1)[0]: run.name for run in (folder / "runs" / "printed").iterdir()}


def copy_or_link(source: str, target: str) -> None:
    """Copy a file; weights, which are replaced and never written into, share their place on disk."""
    if source.endswith((".ckpt", ".safetensors")):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(names: list[str]) -> int:
    pages = [page for page in (README, *MANUAL) if not names or page.name in names]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = clone(Path(temporary))
        for command in (*PREPARED, short_demo()):
            code, output = run(command, folder, [ACTIVATE])
            if code:
                say(f"{command}\n{output}")
                return code

        names = whole_names(folder)

        def run_in_copy(page: Path) -> list[str]:
            """What failed of a page, in a copy of its own: its commands may count on the runs of no other."""
            copy = Path(temporary) / page.stem
            shutil.copytree(folder, copy, symlinks=True, copy_function=copy_or_link)
            try:
                return run_page(page, copy, names)
            finally:
                shutil.rmtree(copy)

        with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
            failed = [text for texts in pool.map(run_in_copy, pages) for text in texts]
    for text in failed:
        say(f"\n{text}")
    say(f"{len(failed)} failed; {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
