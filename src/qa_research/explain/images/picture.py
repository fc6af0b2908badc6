"""Reads a picture of any kind as 8-bit RGB and notes what that took; resizes it for a classifier."""

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageOps, UnidentifiedImageError

from qa_research.text import did_you_mean

Fit = Literal["squash", "crop"]
Interpolation = Literal["bilinear", "bicubic"]
SAMPLE = "sample"
DEFAULT_SAMPLE = "coffee"
# In smaller pictures segments would have only a few pixels.
LEAST_SIDE = 8
_DEPTHS = {"I;16", "I;16B", "I;16L", "I;16N", "I", "F"}
_TRANSPARENT = {"RGBA", "RGBa", "LA", "La", "PA"}
ORIENTATION = 0x0112  # of EXIF


@dataclass(frozen=True)
class Picture:
    """A picture as it was read. `notes`: what was done to make it RGB, in sentences; `source`: its origin."""

    name: str
    source: str
    pixels: UInt8[ndarray, "height width 3"]
    notes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """A sha256 of the pixels and their shape."""
        text = repr(self.pixels.shape).encode()
        return hashlib.sha256(text + self.pixels.tobytes()).hexdigest()


def read_picture(source: str) -> Picture:
    """The picture in a file, or with `sample` / `sample:NAME` one that comes with scikit-image.

    Greyscale, palettes, transparency (over white), 16-bit and floating-point values, the first frame of
    an animation and the camera's orientation are handled, and mentioned in `notes`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not a picture, is damaged or too large, or has a side of fewer than 8 pixels.
    """
    if source == SAMPLE or source.startswith(f"{SAMPLE}:"):
        return _sample(source.partition(":")[2] or DEFAULT_SAMPLE)
    path = Path(source).expanduser()
    if not path.is_file():
        problem = "is a directory" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"image={source} {problem}; name a picture, or use image=sample")
    try:
        with Image.open(path) as image:
            pixels, notes = _as_rgb(image)
    except UnidentifiedImageError as error:
        raise ValueError(
            f"image={source} is not a picture that Pillow can read (PNG, JPEG, GIF, TIFF, WebP, ...)"
        ) from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"image={source} is too large: {error}") from error
    except (OSError, SyntaxError) as error:
        raise ValueError(f"image={source} is damaged: {error}") from error
    height, width = pixels.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise ValueError(
            f"image={source} has {width} x {height} pixels, too few for segments: "
            f"each side needs at least {LEAST_SIDE}"
        )
    return Picture(path.stem, str(source), pixels, tuple(notes))


def fitted(
    pixels: UInt8[ndarray, "height width 3"],
    size: int,
    resize: int,
    fit: Fit,
    interpolation: Interpolation,
) -> UInt8[ndarray, "size size 3"]:
    """The picture as a classifier sees it.

    `squash` resizes the whole picture to size x size; `crop` resizes its shorter side to `resize` and takes
    the middle size x size, as networks are commonly evaluated.
    """
    image = Image.fromarray(pixels)
    how = Image.Resampling[interpolation.upper()]
    if fit == "squash":
        return np.asarray(image.resize((size, size), how))
    # Rounded as torchvision does: 600 x 400 with resize 256 becomes 384 x 256, of which `crop` takes
    # columns 80 to 304 and rows 16 to 240 for size 224.
    shorter = min(image.size)
    width, height = (int(resize * side / shorter) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    resized = image.resize((width, height), how)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def samples() -> dict[str, Callable[[], ndarray]]:
    """The pictures that come with scikit-image without a download, by name."""
    import skimage.data

    names = ("astronaut", "cat", "coffee", "camera", "coins", "horse", "page", "rocket")
    return {name: getattr(skimage.data, name) for name in names}


def _sample(name: str) -> Picture:
    known = samples()
    if name not in known:
        raise ValueError(f"there is no image=sample:{name}{did_you_mean(name, known)}")
    pixels, notes = _as_rgb(Image.fromarray(np.asarray(known[name]())))
    source = f"{SAMPLE}:{name} (skimage.data.{inspect.unwrap(known[name]).__name__})"
    return Picture(name, source, pixels, tuple(notes))


def _as_rgb(image: Image.Image) -> tuple[UInt8[ndarray, "height width 3"], list[str]]:
    notes = []
    if (frames := getattr(image, "n_frames", 1)) > 1:
        notes.append(
            f"It is an animation or has several pages: the first of {frames} is explained."
        )
        image.seek(0)
    # Before anything is loaded, because loading forgets it.
    deep = _is_deep_colour(image)
    if image.getexif().get(ORIENTATION, 1) != 1:
        notes.append("It was rotated as the camera noted.")
    image = ImageOps.exif_transpose(image)
    if deep:
        notes.append("It has 16 bits: read as 8.")
    if image.mode in _DEPTHS:
        image, note = _as_8_bit(image)
        notes.append(note)
    if image.mode == "RGB":
        return np.array(image), notes
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema() != (255, 255):
            notes.append("Transparent parts were put over white.")
            rgba = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
        image = rgba.convert("RGB") if image.mode not in ("LA", "La") else rgba.convert("L")
    if image.mode in ("L", "1"):
        notes.append("It is greyscale: red, green and blue are equal.")
    elif image.mode not in ("RGB", "P"):
        notes.append(f"It was converted from {image.mode} to RGB.")
    return np.array(image.convert("RGB")), notes


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether the file has 16 bits per channel that Pillow reduces to 8, as its unpacking mode shows."""
    unpacked = [str(tile[3]) for tile in getattr(image, "tile", [])]
    return image.mode not in _DEPTHS and any(";16" in how for how in unpacked)


def _as_8_bit(image: Image.Image) -> tuple[Image.Image, str]:
    """Deep greyscale as 8 bits, and a note: 16-bit values by 257, others stretched to the whole range."""
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("it contains values that are not finite numbers")
    if image.mode != "F" and values.min() >= 0 and 255 < values.max() <= 65535:
        # 65535 / 257 = 255
        scaled, note = values / 257, "It has 16 bits: read as 8."
    elif image.mode == "F" and values.min() >= 0 and values.max() <= 1:
        scaled, note = values * 255, "It has floating-point values from 0 to 1: read as 8 bits."
    elif values.min() >= 0 and values.max() <= 255:
        scaled, note = values, "Its values go up to 255: read as 8 bits."
    else:
        least, span = values.min(), max(np.ptp(values), 1e-12)
        scaled = (values - least) / span * 255
        note = f"Its values, from {least:g} to {values.max():g}, were stretched to 8 bits."
    return Image.fromarray(scaled.round().astype(np.uint8)), note
