"""What all pages have in common: parts, marks to fill in, tiles, and how they get to disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from html import escape
from pathlib import Path

from zebra.errors import InputError


def shared(name: str) -> str:
    """A file that several pages contain."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def document(body: Path, fields: Mapping[str, str]) -> str:
    """The page with the template ``body`` in skeleton.html; ``fields`` are those of both."""
    skeleton = Path(__file__).with_name("skeleton.html")
    return fill(skeleton, {**fields, "BODY": fill(body, fields)})


def fill(template: Path, fields: Mapping[str, str]) -> str:
    """The text of ``template`` with every %%NAME%% replaced by its field."""
    # Split at the marks, so that a field whose text looks like a mark stays as it is.
    pieces = template.read_text(encoding="utf-8").split("%%")
    pieces[1::2] = [fields[name] for name in pieces[1::2]]
    return "".join(pieces)


def tiles_of(tiles: Mapping[str, tuple[str, str]]) -> str:
    """HTML of {what: (value, note)}."""
    return "".join(
        f"<div><span>{escape(name)}</span><strong>{escape(value)}</strong>"
        f"<small>{escape(note)}</small></div>"
        for name, (value, note) in tiles.items()
    )


def write_whole(path: str | os.PathLike[str], text: str, what: str) -> None:
    """Write a file whole or not at all; InputError if it cannot be written.

    A device or pipe is written to as it is.
    """
    place = Path(path)
    try:
        if place.exists() and not place.is_file():
            place.write_text(text, encoding="utf-8")
        else:
            _replace(place.resolve(), text)
    except OSError as error:
        raise InputError(f"{path}: the {what} cannot be written ({error.strerror})") from None


def _replace(place: Path, text: str) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".zebra-") as folder:
        new = Path(folder) / place.name
        new.write_text(text, encoding="utf-8")
        new.replace(place)
