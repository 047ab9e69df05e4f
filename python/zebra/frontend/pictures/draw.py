"""Answers drawn into the picture they are about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zebra.errors import InputError, UsageError
from zebra.frontend.pictures.answers import Answer

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

COLOURS = ("#ff5a1f", "#20c0ff")
"""Zebra's colour, and that of what it is compared with."""
_SUFFIXES = (".png", ".jpg", ".jpeg")


def check_destination(path: Path) -> None:
    """UsageError or InputError if no picture can be written there; before any long work."""
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"--save-image {path}: the name must end in {', '.join(_SUFFIXES)}")
    if not path.parent.is_dir():
        raise InputError(f"--save-image {path}: the folder {path.parent} does not exist; make it")


def save_picture(source: Path, answers: Mapping[str, Answer], destination: Path) -> None:
    """Draw up to two named answers (Zebra's first) into the picture and write it."""
    from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

    try:
        with Image.open(source) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError):
        raise InputError(f"--save-image: {source} is not a picture to draw into") from None
    canvas = ImageDraw.Draw(picture)
    line = max(3, min(picture.size) // 128)
    # Zebra's answer is drawn last, above the other's wider line: both show where they agree.
    for index, (each, colour) in reversed(list(enumerate(zip(answers.values(), COLOURS)))):
        if each.faces is not None:
            _draw_faces(canvas, picture, each, colour, line * (1 + index))
    _draw_legend(canvas, picture, answers)
    picture.save(destination)


def _draw_faces(canvas: ImageDraw, picture: Image, answer: Answer, colour: str, line: int) -> None:
    """Outlines ``line`` pixels wide, centred on the boxes' edges."""
    for face in answer.faces or ():
        left, top, right, bottom = face.box
        box = (
            left * picture.width - line // 2,
            top * picture.height - line // 2,
            right * picture.width + line // 2,
            bottom * picture.height + line // 2,
        )
        canvas.rectangle(box, outline=colour, width=line)


def _draw_legend(canvas: ImageDraw, picture: Image, answers: Mapping[str, Answer]) -> None:
    from PIL import ImageFont

    size = max(12, min(picture.size) // 28)
    font = ImageFont.load_default(size)
    y = size // 2
    for (name, each), colour in zip(answers.items(), COLOURS):
        for line in (name, *_lines(each)):
            box = canvas.textbbox((size // 2, y), line, font=font)
            canvas.rectangle((box[0] - 3, box[1] - 2, box[2] + 3, box[3] + 2), fill="#000000")
            canvas.text((size // 2, y), line, font=font, fill=colour)
            y += round(size * 1.3)


def _lines(answer: Answer) -> list[str]:
    if answer.faces is not None:
        return [f"face {face.score:.3f}" for face in answer.faces]
    return [f"{score:.3f} {label}" for label, score in answer.classes]
