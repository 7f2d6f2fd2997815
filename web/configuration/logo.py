"""Logos: an uploaded image is decoded and written anew, so nothing but its pixels is ever served."""

import io
import warnings
from typing import Final

from django.core.files import File

from cairn.errors import InvalidInput, PayloadTooLarge
from cairn.messages import gettext_noop

MAX_BYTES: Final = 2 << 20
MAX_SIDE: Final = 4096
SHOWN_SIDE: Final = 512
FORMATS: Final = ("PNG", "JPEG", "WEBP")
NOT_AN_IMAGE: Final = gettext_noop("This file isn’t a PNG, JPEG or WebP image.")
TOO_MANY_PIXELS: Final = gettext_noop("The logo may be at most 4096 pixels wide and high.")
TOO_MANY_BYTES: Final = gettext_noop("The logo may be at most 2 MB.")


def render_logo(file: "File[bytes]") -> bytes:
    """Return the image as a PNG of moderate size. Raises InvalidInput for anything else."""
    from PIL import Image, ImageOps  # noqa: PLC0415 - slow to load, and needed once in a lifetime

    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise PayloadTooLarge(TOO_MANY_BYTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # sizes are checked below
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            if max(image.size) > MAX_SIDE:
                raise InvalidInput(TOO_MANY_PIXELS)
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except InvalidInput:
        raise
    except Exception as error:
        raise InvalidInput(NOT_AN_IMAGE) from error
    upright.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    # Only the pixels go into the new file: no comments, profiles or location of the upload.
    clean, written = Image.new("RGBA", upright.size), io.BytesIO()
    clean.paste(upright)
    clean.save(written, "PNG")
    return written.getvalue()
