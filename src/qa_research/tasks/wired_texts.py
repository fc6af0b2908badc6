"""How batches of tokens hang together with texts, for `qa-research sanity`: what tasks on text share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from qa_research.model.bert import types_argument
from qa_research.tasks.wiring import Batch, Lost, ShownRow, Wiring

if TYPE_CHECKING:
    from qa_research.tasks.labelled import TwoLabels
    from qa_research.tasks.labelled_texts import LabelledTexts
    from qa_research.tasks.pretrained import TextModule


def wiring_of_texts(module: "TextModule", texts: tuple[str, str], **own: Any) -> Wiring:
    """The wiring of a network that reads two texts. `texts`: what they are called; `own`: the task's own."""
    tokenizer = module.tokenizer
    return Wiring(
        read="input_ids",
        mask="attention_mask",
        types=types_argument(module.network),
        texts=texts,
        types_of=_types_of_pair(tokenizer),
        vocabulary=module.network.get_input_embeddings().num_embeddings,
        unknown=tokenizer.unk_token_id,
        **own,
    )


def wiring_of_pairs(module: "TwoLabels", data: "LabelledTexts", texts: tuple[str, str]) -> Wiring:
    """The wiring of a network that chooses a label for two texts."""
    tokenizer = module.tokenizer

    def scores(batch: Batch) -> Tensor:
        logits: Tensor = module.network(**module.inputs_of(dict(batch))).logits
        return logits

    def show(batch: Batch, row: int) -> ShownRow:
        place = int(batch["example"][row])
        pair, sides = data.train[place], data.encoded["train"].encodings[place].sequence_ids
        parts = ["special" if side is None else texts[side] for side in sides]
        return shown(
            batch,
            row,
            tokenizer,
            id=pair.id,
            parts=parts,
            label=str(int(batch["label"][row])),
            truth=str(pair.label),
            spelled=spelled_by(batch["input_ids"][row, : len(parts)].tolist(), tokenizer),
            source=" ".join(data.texts(pair)),
        )

    def build(other: Any, seed: int) -> None:
        other.tokenizer = tokenizer
        other.build(seed)

    return wiring_of_texts(
        module,
        texts,
        outputs="labels",
        labels=("label",),
        scores=scores,
        show=show,
        examples=lambda split: [(pair.id, data.texts(pair)) for pair in getattr(data, split)],
        lost=lambda: Lost(data.encoded["train"].cut, len(data.train), "data.max_tokens"),
        build=build,
    )


def shown(batch: Batch, row: int, tokenizer: Any, parts: Sequence[str], **own: str) -> ShownRow:
    """One row of a batch of tokens. `parts`: of its tokens, without padding; `own`: the task's own."""
    ids = batch["input_ids"][row].tolist()
    types = batch.get("token_type_ids")
    return ShownRow(
        tokens=tuple(map(str, tokenizer.convert_ids_to_tokens(ids))),
        types=() if types is None else tuple(types[row].tolist()),
        mask=tuple(batch["attention_mask"][row].tolist()),
        parts=(*parts, *["padding"] * (len(ids) - len(parts))),
        **own,
    )


def spelled_by(ids: Sequence[int], tokenizer: Any) -> str:
    """The text that ids spell, without special tokens; ids that the tokenizer does not have spell nothing."""
    known = [token for token in ids if 0 <= token < len(tokenizer)]
    return str(tokenizer.decode(known, skip_special_tokens=True))


def _types_of_pair(tokenizer: Any) -> tuple[int, ...]:
    """The token types that a tokenizer gives to a first and a second text; none if it gives none."""
    encoded = tokenizer("a", "b")
    if "token_type_ids" not in encoded:
        return ()
    sides = encoded.sequence_ids(0)
    types = encoded["token_type_ids"]
    return tuple(types[sides.index(side)] for side in (0, 1))
