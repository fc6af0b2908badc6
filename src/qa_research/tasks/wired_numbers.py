"""How batches of vectors hang together with examples that have a number, for `qa-research sanity`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor

from qa_research.model.one_number import UnusedEncoder
from qa_research.tasks.wiring import Batch, ShownRow, Wiring

if TYPE_CHECKING:
    from qa_research.tasks.regression import NumberModule
    from qa_research.tasks.regression_data import NumberData


def wiring_of_numbers(
    module: "NumberModule",
    data: "NumberData",
    units: str,
    blank: str,
    letters_of: Callable[[Any], str],
) -> Wiring:
    """Vectors have no vocabulary and no types, and none are cut off.

    `units`: a letter for each unit of a vector, and `blank` one for a vector of zeros; `letters_of`: the
    letters of an example, one for each vector.
    """

    def scores(batch: Batch) -> Tensor:
        # In the label's unit, a mean of 1000 would hide what a row changes.
        return module.network.number(batch["vectors"], batch["mask"])

    def show(batch: Batch, row: int) -> ShownRow:
        example = data.train[int(batch["place"][row])]
        mask = batch["mask"][row].int().tolist()
        read = [units[int(v.argmax())] if v.any() else blank for v in batch["vectors"][row]]
        # What belongs to the example is told by its own length, not by the mask, which is checked against it.
        length = len(letters_of(example))
        return ShownRow(
            id=example.id,
            tokens=tuple(read),
            types=(),
            mask=tuple(mask),
            parts=tuple("sequence" if place < length else "padding" for place in range(len(read))),
            label=f"{float(batch['label'][row]):.4g}",
            truth=f"{example.label:.4g}",
            spelled="".join(read[:length]),
            source=letters_of(example),
        )

    def build(other: Any, seed: int) -> None:
        other.build(seed)
        other.fit(data)

    return Wiring(
        outputs="number",
        labels=("label",),
        read="vectors",
        mask="mask",
        scores=scores,
        show=show,
        examples=lambda split: [(row.id, letters_of(row)) for row in getattr(data, split)],
        build=build,
        # The point of that network is that nothing reads its encoder.
        unused=("encoder.",) if isinstance(module.network, UnusedEncoder) else (),
    )
