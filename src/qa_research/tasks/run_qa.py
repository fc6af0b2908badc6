"""The options of Hugging Face's run_qa, as they are typed here; docs/coming-from.md lists the same."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from qa_research.text import command_line

# What separates the keys of an option of run_qa; a value may hold blanks.
SEPARATOR = "\n"
OF_RUN_QA = {
    "model_name_or_path": "model=as_weights\nmodel.weights={}",
    "tokenizer_name": "model.tokenizer={}",
    "dataset_name": "data={}",
    "train_file": "data=squad_file\ndata.train_path={}",
    "validation_file": "data=squad_file\ndata.validation_path={}",
    "max_seq_length": "data.max_tokens={}",
    "doc_stride": "data.stride_tokens={}",
    "max_train_samples": "data.train_questions={}",
    "max_eval_samples": "data.validation_questions={}",
    "per_device_train_batch_size": "data.batch_size={}",
    "per_device_eval_batch_size": "data.eval_batch_size={}",
    "learning_rate": "model.lr={}",
    "weight_decay": "model.weight_decay={}",
    "warmup_ratio": "model.warmup_fraction={}",
    "lr_scheduler_type": "model.decay={}",
    "num_train_epochs": "trainer.max_epochs={}",
    "max_steps": "trainer.max_steps={}",
    "gradient_accumulation_steps": "trainer.accumulate_grad_batches={}",
    "max_grad_norm": "trainer.gradient_clip_val={}",
    "bf16": "trainer.precision=bf16-mixed",
    "fp16": "trainer.precision=16-mixed",
    "version_2_with_negative": "answer.abstain=true",
    "null_score_diff_threshold": "answer.null_threshold={}",
    "n_best_size": "answer.n_best={}",
    "max_answer_length": "answer.max_answer_tokens={}",
    "seed": "seed={}",
    "output_dir": "paths.runs={}",
    "eval_steps": "trainer.val_check_interval={}\ntrainer.check_val_every_n_epoch=null",
    "metric_for_best_model": "checkpoint.monitor=choosing/{}\ncheckpoint.mode=max",
    "overwrite_output_dir": "train.resume=never",
}
# Those that are no part of a training here.
OF_VERBS = {
    "do_train": "a training trains without being told so",
    "do_eval": "a training validates by itself, and qa-research evaluate RUN scores it again",
    "do_predict": "qa-research predict RUN --data FILE answers the questions of a file",
    "resume_from_checkpoint": "the same command again resumes, and so does qa-research resume RUN",
}


def typed_here(name: str, words: Sequence[str]) -> str | None:
    """What to type instead of an option of run_qa and the others of a command line; None: it has no such one.

    >>> typed_here("--train_file", ["--train_file", "a.json", "--bf16"])
    'keys have no dashes: data=squad_file data.train_path=a.json trainer.precision=bf16-mixed'
    """
    key = _in_run_qa(name)
    if key in OF_VERBS:
        return OF_VERBS[key]
    if key not in OF_RUN_QA:
        return None
    typed = ((_in_run_qa(option), value) for option, value in options_in(words))
    lines = [OF_RUN_QA[option].format(value) for option, value in typed if option in OF_RUN_QA]
    # Two options may choose the same data.
    keys = dict.fromkeys(word for line in lines for word in line.split(SEPARATOR))
    return f"keys have no dashes: {command_line(*keys)}"


def options_in(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each option without its dashes, and its value: behind its =, or the next word, or `...` for none."""
    for word, following in pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            has_next = following and not following.startswith("-")
            yield name.lstrip("-"), value if equals else following if has_next else "..."


def _in_run_qa(option: str) -> str:
    """An option's name in the table: argparse takes --train-file for --train_file."""
    return option.lstrip("-").replace("-", "_")
