"""The commands that README.md and docs/ print: found, told apart, and made such that they can be run."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MANUAL = sorted((ROOT / "docs").glob("*.md"))
# What is printed for somebody to replace, as `python -m tests.as_printed` replaces it.
PLACEHOLDERS = {
    # The steps that this run keeps.
    r"(?<=--from )STEP\b": "4",
    r"(?<=--into )STEP\b": "2",
    r"(?<=remove )RUN\b": "$(basename runs/printed/*-s3-*)",
    r"\bRUN\b(?!=)": "printed/bert_tiny-random-builtin-s1",
    r"\bA B\b": "printed/bert_tiny-random-builtin-s1 printed/bert_tiny-random-builtin-s2",
    r"(?<=show --question )ID\b": "builtin-train-00070",
    # One of the 96 that a shortened training has.
    r"(?<=watch )ID\b": "builtin-train-02442",
    r"(?<=without )ID\b": "builtin-train-02442",
    # A training that is printed has two steps when it is run, and keeps no state of the first.
    r"--at 60\b": "--at 1 --from-start",
    r"--at 40 --to 90 --silence.*": "--at 1 --to 2 --silence heads.0.0 --random 1 --questions 8 --from-start",
    r"--judge 40 --at 40 --to 80": "--judge 10 --at 1 --to 4 --from-start",
    r"--questions ID --examples all": "--questions builtin-validation-00003 --examples 20",
    r"--from 40 --to 90\b": "--from 1 --to 2 --from-start",
    r"^(qa-research replay RUN)(?! --from)": r"\1 --from-start",
    r"(?<=question )ID\b": "builtin-validation-00003",
    r"(?<=question )Q\b": "'Who teaches group B?'",
    r"(?<=context )C\b": "'Group K meets in the barn. Ms Lund teaches group B.'",
    r"\bPATH/": "yours/",
    r"\bOUTPUT_DIR\b": "yours/run_qa",
    r"\bDIR\b": "exported",
    r"\bFILE\.zip\b": "*.zip",
}
# What is not run as printed, and why.
SKIPPED = {
    r"^make ": "sets up and trains at length: CI runs make demo and make test-all itself",
    r"deepset/": "fetches a model from the hub",
    r"squad_pretrained|paraphrase_mrpc": "fetches BERT-base and its data from the hub",
    r"RUN --(first|sequence|input|example) |(evaluate|predict) RUN --data FILE": (
        "needs the weights of another task, which the task's own page trains"
    ),
    r"launcher=slurm": "needs a SLURM cluster",
    r"trainer=gpu|accelerator=gpu": "needs a GPU",
    r"classifier=(inception_v3|torchvision)": "fetches weights",
    r"data=squad( |$)|data=squad_v2|--data squad": "fetches SQuAD from the hub",
    r"squad browse": "needs a terminal",
    r"what-if .*--(without|similar-to)": "only users know which question a batch of their training has",
    r"stacks --pid": "needs a training that runs in another terminal",
    r"runs remove RUN$": "asks back, which needs a terminal",
    r"ledger import": "reads a file that only users of the old lab have",
    r"^uv|^uvx|^pip install|pip install": "needs a package index, and changes the environment",
    r"logger=(wandb|mlflow|trackio)|^(wandb|mlflow|trackio) ": "needs a package that is not a dependency",
}
# Added to what would take minutes, so that the same command takes seconds.
SHORT_TRAINING = (
    "data.train_questions=96 data.validation_questions=96 trainer.max_steps=2 "
    "trainer.val_check_interval=1.0 model.warmup_fraction=0.0"
)
SHORT_SEQUENCES = "data.made_train=200 data.made_validation=100 trainer.max_epochs=1"
SHORT_PAIRS = SHORT_TRAINING.replace("_questions", "_examples")
SHORTENED = {
    r"^python train\.py(?!.*(--help|--cfg|--version|=sequence_|=paraphrase))": SHORT_TRAINING,
    r"^python train\.py(?!.*sequence_files).*=sequence_": SHORT_SEQUENCES,
    r"^python train\.py.*sequence_files": "trainer.max_epochs=1",
    r"^python train\.py.*=paraphrase": SHORT_PAIRS,
    r"^qa-research stacks .*-- python train\.py": SHORT_TRAINING,
    r"model\.pretraining=self": "model.pretraining_steps=2",
    r"finetuning=gradual": "finetuning.every_n_steps=1 trainer.max_steps=9 trainer.max_epochs=3",
    r"search=optuna": "hydra.sweeper.n_trials=2",
    r"^qa-research explain(?!.*(--help|--cfg))": (
        "lime.samples=100 lime.max_samples=100 trust.seeds=2 trust.random_orders=0 "
        "classifier.precision=bfloat16"
    ),
    r"efficacy (?!table|plot|ask)\S+$|--rounds|--until-width": "--max-questions 30 --max-minutes 0.2",
    # The files called yours have fewer; of an option that is given twice the last counts.
    r"--questions 300": "--questions 20",
    r"^qa-research graft": "--random 2 --questions 20",
    r"^qa-research attribute(?!.*gradients,erasure)": "--samples 20",
}


@dataclass(frozen=True)
class Printed:
    """A command as a page prints it, without its comment and with lines joined."""

    page: Path
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}: {self.text}"

    @property
    def words(self) -> list[str]:
        """As a shell splits it; `python train.py` is `qa-research train`."""
        words = shlex.split(self.text)
        if words[:2] == ["python", "train.py"]:
            return ["qa-research", "train", *words[2:]]
        # Not of RUN=a/b, which is no program.
        return words if "=" in words[0] else [Path(words[0]).name, *words[1:]]

    @property
    def reason_to_skip(self) -> str | None:
        """Why it is not run, if it is not."""
        return next((why for what, why in SKIPPED.items() if re.search(what, self.text)), None)

    @property
    def runnable(self) -> str:
        """With its placeholders filled in, and short."""
        text = self.text
        for what, value in PLACEHOLDERS.items():
            text = re.sub(what, value, text)
        added = [more for what, more in SHORTENED.items() if re.search(what, self.text)]
        return " ".join([text, *added])


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of the languages; "" is a block that names none."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)
    return [content for language, content in found if language in languages]


def printed(page: Path) -> Iterator[Printed]:
    """Every command of a page: `\\` joins lines, a comment ends one, and [brackets] may be left out."""
    for block in blocks(page, "", "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            text = re.sub(r"\s+", " ", _without_comment(re.sub(r"[\[\]]", "", line))).strip()
            if text:
                yield Printed(page, text)


def _without_comment(line: str) -> str:
    """The line without what follows a # that is not within quotes.

    >>> _without_comment("ask 'a # b' # c")
    "ask 'a # b' "
    """
    quote = ""
    for place, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "#" and (place == 0 or line[place - 1].isspace()):
            return line[:place]
    return line
