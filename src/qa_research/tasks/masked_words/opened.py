"""A trained network that fills in hidden words, read back from its run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.config import build, check_value
from qa_research.console import tracked
from qa_research.files import read_text
from qa_research.model.bert import MASKED_WORDS, input_names
from qa_research.model.kept import read_network
from qa_research.model.some_tokens import OnlySome
from qa_research.tasks.batches import batches_of_tokens
from qa_research.tasks.masking import (
    SCORED_MASKS,
    Score,
    hidden,
    masking_of,
    scores_of,
)
from qa_research.tasks.opened import Examples, Opened, Told
from qa_research.tasks.task import PARAGRAPH, StoredRun
from qa_research.tasks.unlabelled import Piece, PieceBatches, Text, pieces_of

# Per batch, padding included; see answering.trained.
MOST_TOKENS = {"cpu": 2048, "cuda": 16_384}
# Of a piece that was typed, whose hidden words nobody has said.
TYPED = "typed"


@dataclass(frozen=True, repr=False)
class OpenedMaskedWords(Opened[Piece]):
    """A network with its tokenizer, in eval mode on one device, in float32."""

    network: PreTrainedModel
    tokenizer: Any

    asked_with: ClassVar[Sequence[str]] = ("text",)

    def own(self, split: str) -> Examples[Piece]:
        source: Any = build("data", self.config["data"])
        source.load()
        self.check_unchanged(split, source.fingerprints()[split])
        pieces = self._pieces(source.texts_alone(split), split)
        chose = frozenset(piece.id for piece in pieces if piece.chose)
        return Examples(pieces, source.name, split, chose if split == "validation" else frozenset())

    def of_file(self, path: str, encoding: str) -> Examples[Piece]:
        """The lines of a file of text that are not blank."""
        lines = read_text(Path(path), f"--data={path}", encoding).splitlines()
        texts = [Text(line, False) for line in lines if line.strip()]
        try:
            return Examples(self._pieces(texts, "file"), Path(path).name, "file")
        except ValueError as error:
            raise ValueError(f"--data={path} holds no text; expected a text a line") from error

    def example(self, given: Mapping[str, str]) -> Piece:
        text, mask = given["text"], self.tokenizer.mask_token
        parts = text.split(mask)
        if len(parts) < 2:
            raise ValueError(
                f"--input text={text:.80} hides no word; put {mask} for each word to predict"
            )
        tokenizer = self.tokenizer
        ids: list[int] = [tokenizer.cls_token_id]
        places = []
        for place, part in enumerate(parts):
            if place:
                places.append(len(ids))
                ids.append(tokenizer.mask_token_id)
            ids += tokenizer(part, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        ids.append(tokenizer.sep_token_id)
        if len(ids) > (most := self.config["data"]["max_tokens"]):
            raise ValueError(f"--input text=... has {len(ids)} tokens, and this run reads {most}")
        return Piece(TYPED, 0, 0, text, False, np.array(ids), np.array(places))

    def told(self, row: Piece) -> Told:
        return Told(row.id, row.text, ())

    def rows(self, examples: Sequence[Piece]) -> list[dict[str, Any]]:
        if any(piece.id == TYPED for piece in examples):
            return [self._filled(piece) for piece in examples]
        only = OnlySome(self.network)
        try:
            return self._told_again(examples, only)
        finally:
            only.remove()

    def answer_lines(self, row: Mapping[str, Any], n_best: int) -> list[str]:
        if "candidates" not in row:
            return super().answer_lines(row, n_best)
        return [
            ", ".join(f"{word} {share:.3f}" for word, share in some[:n_best])
            for some in row["candidates"]
        ]

    @property
    def why_none_is_right(self) -> str:
        return "of the hidden words of a text some are told right and others are not"

    @property
    def _most_tokens(self) -> int:
        return MOST_TOKENS[self.network.device.type]

    def _told_again(self, examples: Sequence[Piece], only: OnlySome) -> list[dict[str, Any]]:
        """A row for each piece, whose words are hidden as a validation hides them."""
        numbered = {piece.number: piece for piece in examples}
        batches = PieceBatches(examples, int(self.tokenizer.pad_token_id))
        masking = masking_of(self.tokenizer, self.config["task"]["masked_share"], "the tokenizer")
        drawn_by = (self.config["data"]["seed"], SCORED_MASKS)
        found: dict[int, dict[str, Any]] = {}
        lengths = np.array([len(piece.ids) for piece in examples])
        for places in tracked(batches_of_tokens(lengths, self._most_tokens), "Asking"):
            batch = batches.__getitems__(places)
            batch["example"] = torch.tensor([examples[place].number for place in places])
            batch = hidden(batch, numbered, masking, drawn_by)
            logits = self._logits(batch, only)
            words = torch.split(logits.argmax(dim=-1), batch["hidden"].sum(dim=1).tolist())
            for place, score, said in zip(places, scores_of(logits, batch), words, strict=True):
                tokens = self.tokenizer.convert_ids_to_tokens(said.tolist())
                found[place] = row_of(examples[place], score) | {"prediction": " ".join(tokens)}
        return [found[place] for place in range(len(examples))]

    def _pieces(self, texts: Sequence[Text], name: str) -> tuple[Piece, ...]:
        return pieces_of(texts, self.tokenizer, self.config["data"]["max_tokens"], name)

    def _logits(self, batch: Mapping[str, Tensor], only: OnlySome) -> Tensor:
        only.which = batch["hidden"].to(self.network.device)
        names = input_names(self.network) & batch.keys()
        try:
            with torch.inference_mode():
                inputs = {name: batch[name].to(self.network.device) for name in names}
                logits: Tensor = self.network(**inputs).logits.cpu()
        finally:
            only.which = None
        return logits

    def _filled(self, piece: Piece) -> dict[str, Any]:
        """What a typed piece is filled in with: for each hidden word the likeliest, with probabilities."""
        ids = torch.from_numpy(piece.ids)[None]
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        with torch.inference_mode():
            given = {name: tensor.to(self.network.device) for name, tensor in inputs.items()}
            logits = self.network(**given).logits[0, piece.places].cpu()
        shares, best = logits.softmax(dim=-1).topk(min(20, logits.shape[-1]))
        words = [self.tokenizer.convert_ids_to_tokens(row) for row in best.tolist()]
        candidates = [[*zip(*row, strict=True)] for row in zip(words, shares.tolist(), strict=True)]
        return {
            "id": piece.id,
            "prediction": " ".join(some[0] for some in words),
            "probability": float(shares[:, 0].prod()),
            "candidates": candidates,
        }


def row_of(piece: Piece, score: Score) -> dict[str, Any]:
    """What is written of a piece: its loss, and how many of its hidden words were told right."""
    return {
        "id": piece.id,
        "prediction": f"{score.right} of {score.hidden} right",
        "loss": score.loss,
        "accuracy": score.accuracy,
        "hidden": score.hidden,
        PARAGRAPH: piece.group,
    }


def reopen(run: StoredRun, weights: Mapping[str, Tensor]) -> OpenedMaskedWords:
    """The network of a run with the weights of a checkpoint, on a GPU if there is one.

    Raises:
        ValueError: the weights do not fit the network.
    """
    check_value("data.max_tokens", run.config["data"].get("max_tokens"), Annotated[int, Ge(8)])
    network, tokenizer = read_network(run.directory, weights, str(run.checkpoint), MASKED_WORDS)
    stored = {field.name: getattr(run, field.name) for field in fields(StoredRun)}
    return OpenedMaskedWords(**stored, network=network, tokenizer=tokenizer)
