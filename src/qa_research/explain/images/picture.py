"""Reading one picture of any kind as 8-bit RGB, and saying what that took."""

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

Fit = Literal["squash", "crop"]
Interpolation = Literal["bilinear", "bicubic"]
SAMPLE = "sample"
DEFAULT_SAMPLE = "coffee"
# Below this, segments of a few pixels each are all there is.
LEAST_SIDE = 8
_DEPTHS = {"I;16", "I;16B", "I;16L", "I;16N", "I", "F"}
_TRANSPARENT = {"RGBA", "RGBa", "LA", "La", "PA"}
ORIENTATION = 0x0112  # of EXIF


@dataclass(frozen=True)
class Picture:
    """A picture as it was read. `notes`: what was done to make it RGB, in sentences; `source`: where from."""

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
    """The picture in a file, or `sample` / `sample:NAME`, one that scikit-image carries.

    Greyscale, palettes, transparency (over white), 16-bit and floating-point values, the first frame of
    an animation and the camera's orientation are handled, and said in `notes`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is no picture, is damaged or too large, or has fewer than 8 pixels a side.
    """
    if source == SAMPLE or source.startswith(f"{SAMPLE}:"):
        return _sample(source.partition(":")[2] or DEFAULT_SAMPLE)
    path = Path(source).expanduser()
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "is not there"
        raise FileNotFoundError(
            f"image={source} {what}; name a picture, or image=sample for one that comes along"
        )
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
            f"image={source} has {width} x {height} pixels: too few to be cut into segments, "
            f"{LEAST_SIDE} a side at least"
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

    `squash` brings the whole picture to size x size; `crop` brings its shorter side to `resize` and takes
    the middle, as networks are commonly evaluated.
    """
    image = Image.fromarray(pixels)
    how = Image.Resampling[interpolation.upper()]
    if fit == "squash":
        return np.asarray(image.resize((size, size), how))
    # Rounded as torchvision rounds.
    shorter = min(image.size)
    width, height = (int(resize * side / shorter) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    whole = image.resize((width, height), how)
    return np.asarray(whole.crop((left, top, left + size, top + size)))


def samples() -> dict[str, Callable[[], ndarray]]:
    """The pictures that come with scikit-image and need no download, by name."""
    import skimage.data

    names = ("astronaut", "cat", "coffee", "camera", "coins", "horse", "page", "rocket")
    return {name: getattr(skimage.data, name) for name in names}


def _sample(name: str) -> Picture:
    known = samples()
    if name not in known:
        raise ValueError(f"there is no image=sample:{name}; there are {', '.join(sorted(known))}")
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
    # Before anything is loaded, which forgets it.
    deep = _is_deep_colour(image)
    if image.getexif().get(ORIENTATION, 1) != 1:
        notes.append("It was turned as the camera noted.")
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
            notes.append("What is transparent was put over white.")
            rgba = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
        image = rgba.convert("RGB") if image.mode not in ("LA", "La") else rgba.convert("L")
    if image.mode in ("L", "1"):
        notes.append("It is greyscale: red, green and blue are equal.")
    elif image.mode not in ("RGB", "P"):
        notes.append(f"It was converted from {image.mode} to RGB.")
    return np.array(image.convert("RGB")), notes


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether the file has 16 bits a channel where Pillow gives 8, as seen in how it is to be unpacked."""
    unpacked = [str(tile[3]) for tile in getattr(image, "tile", [])]
    return image.mode not in _DEPTHS and any(";16" in how for how in unpacked)


def _as_8_bit(image: Image.Image) -> tuple[Image.Image, str]:
    """Deep greyscale as 8 bits: 16-bit values by 257, anything else from its least to its greatest value."""
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are no numbers")
    if image.mode != "F" and values.min() >= 0 and 255 < values.max() <= 65535:
        return Image.fromarray(
            (values / 257).round().astype(np.uint8)
        ), "It has 16 bits: read as 8."
    if image.mode == "F" and values.min() >= 0 and values.max() <= 1:
        scaled = values * 255
        note = "It has floating-point values from 0 to 1: read as 8 bits."
    elif values.min() >= 0 and values.max() <= 255:
        scaled, note = values, "Its values go up to 255: read as 8 bits."
    else:
        least, span = values.min(), max(np.ptp(values), 1e-12)
        scaled = (values - least) / span * 255
        note = f"Its values, from {least:g} to {values.max():g}, were stretched to 8 bits."
    return Image.fromarray(scaled.round().astype(np.uint8)), note
