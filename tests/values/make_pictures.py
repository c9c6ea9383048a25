"""Writes pictures.json: small picture files of many kinds and what Pillow reads in them.

Run: python make_pictures.py   (needs numpy and Pillow)
"""
import io
import json
import pathlib

import numpy
from PIL import Image

HEIGHT, WIDTH = 11, 17
y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
SMOOTH = numpy.stack([15 * x, 24 * y, 255 - 8 * x - 11 * y], -1).clip(0, 255).astype(numpy.uint8)
RGB = Image.fromarray(SMOOTH)


def encoded(picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, **options)
    return buffer.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(RGB, format="JPEG", quality=95, exif=exif)


def pixels(picture):
    array = numpy.asarray(picture)
    return {"height": array.shape[0], "width": array.shape[1], "pixels": array.flatten().tolist()}


def case(name, file, tolerance, picture=None):
    picture = picture or Image.open(io.BytesIO(file)).convert("RGB")
    return {"name": name, "file": file.hex(), "tolerance": tolerance, **pixels(picture)}


TRANSPOSES = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
              4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
              6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
              8: Image.Transpose.ROTATE_90}
sixteen = Image.fromarray((SMOOTH[..., 0].astype(numpy.uint16) << 8) + 77)
grey = RGB.convert("L")
rgba = RGB.copy()
rgba.putalpha(grey)
palette = RGB.quantize(9)
cases = [
    case("jpeg_baseline", encoded(RGB, format="JPEG", quality=95), 4),
    case("jpeg_progressive", encoded(RGB, format="JPEG", quality=95, progressive=True), 4),
    case("jpeg_grey", encoded(grey, format="JPEG", quality=95), 2),
    case("jpeg_cmyk", encoded(RGB.convert("CMYK"), format="JPEG", quality=95), 4),
    case("png_rgb", encoded(RGB, format="PNG"), 0),
    case("png_grey", encoded(grey, format="PNG"), 0),
    case("png_16_bit", encoded(sixteen, format="PNG"), 0,
         Image.fromarray(numpy.repeat(SMOOTH[..., :1], 3, -1))),
    case("png_palette", encoded(palette, format="PNG"), 0),
    case("png_1_bit", encoded(RGB.convert("1"), format="PNG"), 0),
    case("png_transparent", encoded(rgba, format="PNG"), 0, RGB),
    case("bmp", encoded(RGB, format="BMP"), 0),
    case("gif_two_frames", encoded(palette, format="GIF", save_all=True,
                                   append_images=[palette.rotate(180)]), 0),
    case("png_1x1", encoded(RGB.crop((3, 4, 4, 5)), format="PNG"), 0),
] + [case(f"jpeg_orientation_{k}", turned(k), 4,
          Image.open(io.BytesIO(turned(1))).transpose(how)) for k, how in TRANSPOSES.items()]

resized = [pixels(RGB.resize((w, h), Image.Resampling.BILINEAR))
           for h, w in [(5, 7), (23, 29), (4, 40), (1, 1), (11, 3)]]
out = pathlib.Path(__file__).with_name("pictures.json")
out.write_text(json.dumps({"cases": cases, "source": pixels(RGB), "resized": resized},
                          separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
