"""What training_speed.py times: one training, by us or by Hugging Face's Trainer, in this process."""

import resource
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_TOKENS, STRIDE_TOKENS, BATCH_SIZE, LR, DROPOUT, SEED = 384, 128, 12, 1e-4, 0.1, 1
PEER = "peer"
# As in conf/model/parts/network.yaml.
PLAIN_BELOW = 256


@dataclass(frozen=True)
class Measurement:
    """One training. `loss`: of the trained network over all windows, in eval mode."""

    name: str
    questions: int
    mean_tokens: float
    train_s: float
    loading_s: float
    loss: float
    peak_mib: float


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
    from qa_research.console import start_logging
    from qa_research.model.weights import PACKAGED
    from qa_research.tasks.answering.data import FileData
    from qa_research.tasks.answering.decode import AnswerSettings
    from qa_research.tasks.answering.module import QuestionAnswering

    start_logging()
    data = FileData(
        train_path=str(squad),
        validation_path=str(squad),
        validation_share=None,
        encoding="utf-8",
        name="benchmark",
        train_questions=questions,
        validation_questions=1,
        choosing_share=1.0,
        seed=SEED,
        validate_on_train=False,
        on_bad_rows="error",
        max_tokens=MAX_TOKENS,
        stride_tokens=STRIDE_TOKENS,
        batch_size=BATCH_SIZE,
        eval_batch_size=BATCH_SIZE,
        num_workers=0,
    )
    data.load()
    module = QuestionAnswering(
        name="minilm",
        weights=PACKAGED,
        family="bert",
        tokenizer=None,
        vocab_size=30522,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        max_position_embeddings=512,
        dropout=0.0 if "no-dropout" in name else DROPOUT,
        lr=LR,
        weight_decay=0.0,
        adam_beta1=0.9,
        adam_beta2=0.999,
        adam_epsilon=1e-8,
        warmup_fraction=0.0,
        decay="linear",
        plain_attention_below=0 if name == PEER or "sdpa" in name else PLAIN_BELOW,
        compile=False,
    )
    tokenizer = module.make_tokenizer(data.train, folder)
    module.build(SEED, AnswerSettings(30, 20, False, 0.0))
    data.prepare(tokenizer, folder, SEED)
    if name == PEER:
        return data, module.network, tokenizer, lambda: _train_peer(data, module, tokenizer, folder)
    return data, module.network, tokenizer, lambda: _train_ours(name, data, module, folder)


def _train_ours(name: str, data: Any, module: Any, folder: Path) -> tuple[float, float]:
    import lightning.pytorch as pl

    class Clock(pl.Callback):
        def on_train_start(self, *_: Any) -> None:
            self.started = time.perf_counter()

        def on_train_end(self, *_: Any) -> None:
            self.train_s = time.perf_counter() - self.started

    if "padded" in name:
        _pad_every_batch(data)
    if "unfused" in name:
        _unfuse(module)
    clock = Clock()
    pl.seed_everything(SEED, verbose=False)
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
    started = time.perf_counter()
    for _ in data.train_dataloader():
        pass
    return clock.train_s, time.perf_counter() - started


def _pad_every_batch(data: Any) -> None:
    """Undo the grouping: batches in random order, padded to the longest window allowed."""
    import torch
    from torch.nn.functional import pad
    from torch.utils.data import DataLoader

    from qa_research.tasks.answering.batches import WindowDataset

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
    """Let AdamW loop over tensors, torch's plainest form."""
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
    started = time.perf_counter()
    trainer.train()
    train_s = time.perf_counter() - started
    started = time.perf_counter()
    for _ in trainer.get_train_dataloader():
        pass
    return train_s, time.perf_counter() - started


def _loss(data: Any, network: Any, tokenizer: Any, torch: Any) -> float:
    """Mean loss over all training windows, in float32 and eval mode."""
    from qa_research.tasks.answering.batches import padded_batch
    from qa_research.tasks.batches import ScoringBatches

    network.eval().float()
    total = 0.0
    with torch.inference_mode():
        for indices in ScoringBatches(data.train_windows.lengths, 32, 0, 1):
            batch = padded_batch(data.train_windows, indices, tokenizer.pad_token_id)
            batch.pop("window")
            total += network(**batch).loss.item() * len(indices)
    return total / len(data.train_windows)
