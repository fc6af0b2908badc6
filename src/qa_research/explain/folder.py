"""The folder of an explanation: explanation.json, and arrays.npz for whatever draws."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qa_research.explain.explanation import Explanation
from qa_research.explain.picture import Picture

EXPLANATION = "explanation.json"
ARRAYS = "arrays.npz"


def explanation_folder(explanations: Path, picture: Picture, config: Mapping[str, Any]) -> Path:
    """`<explanations>/<picture>-<classifier>-<hash8>`, the hash that of the pixels and of all settings.

    Where things lie, and whether predictions are kept, changes nothing and is no part of it.
    """
    kept = {key: value for key, value in config.items() if key not in ("paths", "image")}
    kept["lime"] = {key: value for key, value in config["lime"].items() if key != "cache"}
    text = json.dumps([kept, picture.digest], sort_keys=True)
    classifier = config["classifier"]
    name = classifier.get("name", classifier["_target_"].rsplit(".", 1)[-1].lower())
    stem = "".join(c if c.isalnum() or c in "._" else "_" for c in picture.name)[:60]
    return explanations / f"{stem}-{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def write_explanation(folder: Path, explanation: Explanation) -> None:
    """Write both; the same explanation gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{ARRAYS}.tmp").open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **explanation.arrays())
    text = json.dumps(explanation.as_json(), ensure_ascii=False, indent=2, allow_nan=False)
    (folder / f".{EXPLANATION}.tmp").write_text(text + "\n", encoding="utf-8")
    for name in (ARRAYS, EXPLANATION):
        os.replace(folder / f".{name}.tmp", folder / name)
