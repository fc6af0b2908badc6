"""The passages of README.md that have numbers."""

from typing import Any

from experiments.study import Passages, made_by


def claims(measured: dict[str, Any], says: Passages) -> None:
    """From three pictures, whose predictions were fitted with eight kernels."""
    pictures = measured["pictures"]
    first = next(iter(pictures.values()))
    says.cited(
        "took weights of sqrt(exp(-d²/0.25²))",
        source="[doughazell/ai](https://github.com/doughazell/ai)",
    )
    says.defined("0.25 / √2 = 0.1768")
    says.defined("0.25")
    says("differ by at most {:.0e}", measured["largest difference"])
    says("{} seeds of {:,} masks each", first["seeds"], first["masks"])
    made_by(measured["made by"], says)
    for name, found in pictures.items():
        for width, at in found["widths"].items():
            row(f"{name} ({found['segments']})" if width == "0.05" else "", width, at, says)
    without_root(measured, says)
    extremes(pictures, says)


def row(name: str, width: str, at: dict[str, float], says: Passages) -> None:
    """One line of the table."""
    says(
        "| {} | {} | {:.2f} | {:.2f} | {:.3f} | {:.3f} | {:.2f} | {:,.0f} |",
        name,
        width,
        at["same masks, top"],
        at["other masks, top"],
        at["same masks, ranks"],
        at["other masks, ranks"],
        at["r2"],
        at["masks that count"],
    )


def without_root(measured: dict[str, Any], says: Passages) -> None:
    """What leaving out the root does, beside what another draw of masks does."""
    pictures = measured["pictures"].values()
    of_root = [found["widths"][f"{measured['without root']:.4g}"] for found in pictures]
    of_seeds = [found["widths"][f"{measured['usual']:.4g}"] for found in pictures]
    says(
        "correlate with those with it by {:.3f} to {:.3f} on the same masks",
        *ends(of_root, "same masks, ranks"),
    )
    says("other masks correlate by {:.3f} to {:.3f}", *ends(of_seeds, "other masks, ranks"))
    says(
        "shares {:.2f} to {:.2f} of the top four, other masks {:.2f} to {:.2f}",
        *ends(of_root, "same masks, top"),
        *ends(of_seeds, "other masks, top"),
    )
    nearer = sum(
        a["same masks, ranks"] > b["other masks, ranks"]
        for a, b in zip(of_root, of_seeds, strict=True)
    )
    says("in {} of {} pictures", nearer, len(of_root))
    says(
        "{:,.0f} to {:,.0f} masks count instead of {:,.0f} to {:,.0f}",
        *ends(of_root, "masks that count"),
        *ends(of_seeds, "masks that count"),
    )


def extremes(pictures: dict[str, Any], says: Passages) -> None:
    """The narrowest kernel, and none at all."""
    narrow = [found["widths"]["0.05"] for found in pictures.values()]
    none = [found["widths"]["inf"] for found in pictures.values()]
    says(
        "At a width of {} only {:,.0f} to {:,.0f} of the masks count",
        "0.05",
        *ends(narrow, "masks that count"),
    )
    says("two draws share {:.2f} to {:.2f} of the top four", *ends(narrow, "other masks, top"))
    says("R² of {:.2f} to {:.2f}", *ends(narrow, "r2"))
    says(
        "All masks with equal weight rank the segments as the usual kernel does up to {:.3f} to {:.3f}",
        *ends(none, "same masks, ranks"),
    )


def ends(rows: list[dict[str, float]], key: str) -> tuple[float, float]:
    """The least and the most of a value."""
    values = [row[key] for row in rows]
    return min(values), max(values)
