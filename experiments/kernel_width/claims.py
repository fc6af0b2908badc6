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
    root, usual = f"{measured['without root']:.4g}", f"{measured['usual']:.4g}"
    of_root = [found["widths"][root] for found in measured["pictures"].values()]
    of_seeds = [found["widths"][usual] for found in measured["pictures"].values()]
    says(
        "correlate with those with it by {:.3f} to {:.3f} on the same masks",
        min(at["same masks, ranks"] for at in of_root),
        max(at["same masks, ranks"] for at in of_root),
    )
    says(
        "other masks correlate by {:.3f} to {:.3f}",
        min(at["other masks, ranks"] for at in of_seeds),
        max(at["other masks, ranks"] for at in of_seeds),
    )
    says(
        "shares {:.2f} to {:.2f} of the top four, other masks {:.2f} to {:.2f}",
        min(at["same masks, top"] for at in of_root),
        max(at["same masks, top"] for at in of_root),
        min(at["other masks, top"] for at in of_seeds),
        max(at["other masks, top"] for at in of_seeds),
    )
    nearer = sum(
        a["same masks, ranks"] > b["other masks, ranks"]
        for a, b in zip(of_root, of_seeds, strict=True)
    )
    says("in {} of {} pictures", nearer, len(of_root))
    says(
        "{:,.0f} to {:,.0f} masks count instead of {:,.0f} to {:,.0f}",
        min(at["masks that count"] for at in of_root),
        max(at["masks that count"] for at in of_root),
        min(at["masks that count"] for at in of_seeds),
        max(at["masks that count"] for at in of_seeds),
    )


def extremes(pictures: dict[str, Any], says: Passages) -> None:
    """The narrowest kernel, and none at all."""
    narrow = [found["widths"]["0.05"] for found in pictures.values()]
    none = [found["widths"]["inf"] for found in pictures.values()]
    says(
        "At a width of 0.05 only {:,.0f} to {:,.0f} of the masks count".replace("0.05", "{}"),
        0.05,
        min(at["masks that count"] for at in narrow),
        max(at["masks that count"] for at in narrow),
    )
    says(
        "two draws share {:.2f} to {:.2f} of the top four",
        min(at["other masks, top"] for at in narrow),
        max(at["other masks, top"] for at in narrow),
    )
    says(
        "R² of {:.2f} to {:.2f}",
        min(at["r2"] for at in narrow),
        max(at["r2"] for at in narrow),
    )
    says(
        "All masks with equal weight rank the segments as the usual kernel does up to {:.3f} to {:.3f}",
        min(at["same masks, ranks"] for at in none),
        max(at["same masks, ranks"] for at in none),
    )
