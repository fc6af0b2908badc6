import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from qa_research.explain.images.picture import fitted, read_picture

RAMP = np.tile(np.arange(0, 250, 10, dtype=np.uint8), (20, 1))


@pytest.fixture
def saved(tmp_path):
    def save(image, name, **options):
        path = tmp_path / name
        image.save(path, **options)
        return str(path)

    return save


def test_rgb_is_read_as_it_is_without_a_note(saved):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 15, 3), dtype=np.uint8)
    found = read_picture(saved(Image.fromarray(pixels), "a dog.png"))
    assert found.name == "a dog"
    assert found.notes == ()
    assert (found.pixels == pixels).all()


def test_greyscale_is_noted(saved):
    found = read_picture(saved(Image.fromarray(RAMP), "grey.png"))
    assert found.notes == ("It is greyscale: red, green and blue are equal.",)
    assert (found.pixels == RAMP[:, :, None]).all()


def test_sixteen_bits_are_scaled_and_noted(saved):
    deep = Image.fromarray(RAMP.astype(np.uint16) * 257)
    found = read_picture(saved(deep, "deep.png"))
    assert "It has 16 bits: read as 8." in found.notes
    assert (found.pixels[:, :, 0] == RAMP).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "LAB"])
def test_a_tiff_is_not_said_to_be_rotated(saved, mode):
    found = read_picture(saved(Image.new(mode, (10, 10)), "a.tif"))
    assert not any("rotated" in note for note in found.notes)
    assert ("converted from LAB" in " ".join(found.notes)) == (mode == "LAB")


def test_sixteen_bits_per_channel_are_noted(tmp_path):
    # Pillow cannot write one: three rows of a PNG by hand, every channel at 0x80ff.
    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = (b"\0" + b"\x80\xff" * 3 * 9) * 9
    header = struct.pack(">IIBBBBB", 9, 9, 16, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    found = read_picture(str(tmp_path / "deep.png"))
    assert found.notes == ("It has 16 bits: read as 8.",)
    assert (found.pixels == 0x80).all()


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (RAMP / 255, "floating-point values from 0 to 1"),
        (RAMP / 255 * 8 - 4, "from -4 to 3.52941, were stretched"),
    ],
)
def test_floating_point_is_scaled_and_noted(saved, values, note):
    found = read_picture(saved(Image.fromarray(values.astype(np.float32)), "f.tif"))
    assert any(note in said for said in found.notes)
    assert found.pixels.min() == 0
    assert found.pixels.max() == (240 if "0 to 1" in note else 255)


def test_transparency_is_put_over_white_and_noted(saved):
    pixels = np.zeros((10, 10, 4), dtype=np.uint8)
    pixels[5:, :, 3] = 255
    found = read_picture(saved(Image.fromarray(pixels), "half.png"))
    assert found.notes == ("Transparent parts were put over white.",)
    assert (found.pixels[:5] == 255).all() and (found.pixels[5:] == 0).all()


def test_a_transparency_channel_that_hides_nothing_is_not_noted(saved):
    found = read_picture(saved(Image.new("RGBA", (10, 10), (1, 2, 3, 255)), "opaque.png"))
    assert found.notes == ()
    assert (found.pixels == (1, 2, 3)).all()


def test_a_transparent_palette_and_grey_with_transparency(saved):
    palette = Image.new("P", (10, 10), 1)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    found = read_picture(saved(palette, "p.gif", transparency=1))
    assert (found.pixels == 255).all()
    grey = read_picture(saved(Image.new("LA", (10, 10), (7, 0)), "la.png"))
    assert (grey.pixels == 255).all() and len(grey.notes) == 2


def test_the_first_frame_of_an_animation_is_explained_and_that_is_noted(saved):
    first, second = Image.new("RGB", (10, 10), "red"), Image.new("RGB", (10, 10), "blue")
    found = read_picture(saved(first, "a.gif", save_all=True, append_images=[second]))
    assert "the first of 2 is explained" in found.notes[0]
    assert (found.pixels == (255, 0, 0)).all()


def test_a_picture_taken_sideways_is_rotated_and_that_is_noted(saved):
    image = Image.fromarray(np.repeat(RAMP[:, :, None], 3, axis=2))
    exif = image.getexif()
    exif[0x0112] = 6
    found = read_picture(saved(image, "turned.png", exif=exif))
    assert found.pixels.shape == (25, 20, 3)
    assert found.notes == ("It was rotated as the camera noted.",)


def test_cmyk_is_converted_and_noted(saved):
    found = read_picture(saved(Image.new("CMYK", (10, 10), (0, 255, 255, 0)), "c.jpg"))
    assert "converted from CMYK" in found.notes[0]
    assert found.pixels[0, 0, 0] > 200 > found.pixels[0, 0, 1]


@pytest.mark.parametrize("size", [(1, 1), (7, 300)])
def test_too_few_pixels_are_refused(saved, size):
    path = saved(Image.new("RGB", size), "tiny.png")
    with pytest.raises(
        ValueError, match=rf"has {size[0]} x {size[1]} pixels, too few .* at least 8"
    ):
        read_picture(path)


def test_what_is_not_a_picture_is_refused(tmp_path):
    text = tmp_path / "notes.png"
    text.write_text("not a picture")
    with pytest.raises(ValueError, match=r"notes\.png is not a picture that Pillow can read"):
        read_picture(str(text))
    with pytest.raises(
        FileNotFoundError, match="does not exist; name a picture, or use image=sample"
    ):
        read_picture(str(tmp_path / "absent.png"))
    with pytest.raises(FileNotFoundError, match="is a directory"):
        read_picture(str(tmp_path))


def test_a_truncated_picture_is_refused(tmp_path):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    truncated = tmp_path / "truncated.png"
    truncated.write_bytes(buffer.getvalue()[:9000])
    with pytest.raises(ValueError, match=r"truncated\.png is damaged"):
        read_picture(str(truncated))


@pytest.mark.filterwarnings("ignore")
def test_a_picture_of_absurd_size_is_refused(saved, monkeypatch):
    path = saved(Image.new("L", (300, 300)), "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="is too large"):
        read_picture(path)


def test_samples_are_found_by_name():
    assert read_picture("sample").name == "coffee"
    assert read_picture("sample:camera").pixels.shape == (512, 512, 3)
    with pytest.raises(ValueError, match="there is no image=sample:dog; known: astronaut, "):
        read_picture("sample:dog")


def test_squash_shows_all_and_crop_the_middle():
    pixels = np.zeros((40, 80, 3), dtype=np.uint8)
    pixels[:, :20], pixels[:, 60:] = 255, 255
    squashed = fitted(pixels, 20, 20, "squash", "bilinear")
    assert squashed.shape == (20, 20, 3)
    assert squashed[10, 0, 0] == 255 and squashed[10, 10, 0] == 0
    cropped = fitted(pixels, 20, 20, "crop", "bilinear")
    assert cropped.shape == (20, 20, 3)
    assert cropped.max() < 140


def test_the_digest_is_of_the_pixels_and_their_shape(saved):
    one = read_picture(saved(Image.new("RGB", (10, 20)), "a.png"))
    same = read_picture(saved(Image.new("RGB", (10, 20)), "b.png"))
    other = read_picture(saved(Image.new("RGB", (20, 10)), "c.png"))
    assert one.digest == same.digest != other.digest
