"""Boxes and text of int8 networks beside float's: faces, text boxes and read lines.

    python benchmarks/detection.py --data DIR [--pictures 100] [--calibration 100]
        [--cases retinaface ppocr_det ppocr_rec]

DIR holds imagenet1000_s256/*.jpg and models/: retinaface.sim.onnx, ch_PP-OCRv4_det_infer.onnx,
ch_PP-OCRv4_rec_infer.onnx. Text is rendered, other lines for calibration than for evaluation.
One JSON line per case. retinaface and ppocr_det: boxes of both networks (`float`, `int8`), the mean
intersection over union of those that match, and how many of either have none to match (`lost`,
`gained`; a face counts from 0.6 on, and a box of the other network matches from 0.5 on).
ppocr_rec: lines that both read alike (`same`), and the others (`differences`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from common import build, photographs
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

import zebra
from zebra.frontend.pictures.faces import find_faces

SIDE = 640
COUNTED, SEEN = 0.6, 0.3
"""A face's score to be counted, and to match one that is."""
MATCH = 0.5
TEXT = 0.3
"""Probability of text of a pixel in a box."""
LINE = (48, 320)
WORDS = [
    "invoice",
    "total",
    "amount",
    "due",
    "date",
    "paid",
    "order",
    "number",
    "street",
    "station",
    "platform",
    "north",
    "exit",
    "open",
    "closed",
    "entrance",
    "ticket",
    "coffee",
    "bread",
    "fresh",
    "water",
    "milk",
    "price",
    "city",
    "museum",
    "library",
    "page",
    "chapter",
    "2024",
    "17.50",
    "3/4",
    "0800",
    "No.7",
    "A4",
    "B12",
    "50%",
    "(new)",
    "signal",
    "voltage",
    "input",
    "output",
    "model",
    "layer",
]
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf")

Network = Callable[[np.ndarray], list[np.ndarray]]
Box = tuple[float, float, float, float]
Scored = list[tuple[float, Box]]


def both(path: Path, batches: list[np.ndarray]) -> tuple[Network, Network]:
    """The network in ONNX Runtime, float, and on Zebra, int8."""
    session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    mod, params = zebra.load(path, {name: batches[0].shape})
    run = build(zebra.quantize(mod, params, [{name: batch} for batch in batches]), "zebra")
    return lambda x: session.run(None, {name: x}), lambda x: run({name: x})


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(wide, 0.0) * max(tall, 0.0)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return common / (areas - common) if common else 0.0


def best(box: Box, others: Scored) -> float:
    """The overlap with the box that it overlaps most."""
    return max((overlap(box, other) for _, other in others), default=0.0)


def compared(pairs: list[tuple[Scored, Scored]]) -> dict[str, Any]:
    """Boxes of float and int8, by picture."""
    overlaps, lost, gained, counts = [], 0, 0, [0, 0]
    for real, found in pairs:
        counted = [[box for score, box in each if score >= COUNTED] for each in (real, found)]
        counts = [counts[0] + len(counted[0]), counts[1] + len(counted[1])]
        shares = [best(box, found) for box in counted[0]]
        overlaps += [share for share in shares if share >= MATCH]
        lost += sum(share < MATCH for share in shares)
        gained += sum(best(box, real) < MATCH for box in counted[1])
    return {
        "pictures": len(pairs),
        "float": counts[0],
        "int8": counts[1],
        "mean_iou": round(float(np.mean(overlaps)), 4) if overlaps else None,
        "lost": lost,
        "gained": gained,
    }


def face_input(path: Path) -> np.ndarray:
    """float32 [1, 3, SIDE, SIDE], blue first, less the mean of the training pictures."""
    picture = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture, np.float32)[..., ::-1] - np.float32((104, 117, 123))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def faces(outputs: list[np.ndarray]) -> Scored:
    """All faces that could match."""
    found = find_faces(outputs, SIDE, SIDE, least=SEEN) or []
    return [(face.score, face.box) for face in found]


def sentence(rng: np.random.Generator, words: int) -> str:
    """Random words."""
    return " ".join(rng.choice(WORDS, words))


def font(rng: np.random.Generator, size: int) -> ImageFont.FreeTypeFont:
    """One of the fonts that come with matplotlib."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / rng.choice(FONTS)), size)


def standard(picture: Image.Image) -> np.ndarray:
    """float32 [1, 3, H, W] in -1 .. 1."""
    pixels = np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 127.5 - 1
    return np.ascontiguousarray(pixels, np.float32)


def page(seed: int) -> np.ndarray:
    """A page of lines of several sizes and colours."""
    rng = np.random.default_rng(seed)
    paper = tuple(int(value) for value in rng.integers(170, 256, 3))
    picture = Image.new("RGB", (SIDE, SIDE), paper)
    draw, top = ImageDraw.Draw(picture), 20
    while top < SIDE - 70:
        size = int(rng.integers(16, 44))
        ink = tuple(int(value) for value in rng.integers(0, 90, 3))
        place = (int(rng.integers(10, 120)), top)
        draw.text(place, sentence(rng, int(rng.integers(1, 4))), ink, font(rng, size))
        top += size + int(rng.integers(14, 40))
    return standard(picture)


def line(seed: int) -> np.ndarray:
    """One line of text as the recognizer takes it."""
    rng = np.random.default_rng(seed)
    height, width = LINE
    picture = Image.new("RGB", (width, height), tuple(int(v) for v in rng.integers(170, 256, 3)))
    text, size = sentence(rng, 2), 34
    while (kind := font(rng, size)).getlength(text) > width - 16:
        size -= 2
    ink = tuple(int(value) for value in rng.integers(0, 90, 3))
    ImageDraw.Draw(picture).text((8, (height - size * 1.2) / 2), text, ink, kind)
    noise = rng.normal(0, 4, (height, width, 3))
    pixels = np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
    return standard(Image.fromarray(pixels))


def text_boxes(outputs: list[np.ndarray]) -> Scored:
    """The hulls of the connected pixels that are text."""
    labels, _ = ndimage.label(outputs[0][0, 0] > TEXT)
    found = ndimage.find_objects(labels)
    return [(1.0, (x.start, y.start, x.stop, y.stop)) for y, x in found if y.stop - y.start > 3]


def read(outputs: list[np.ndarray], alphabet: list[str]) -> str:
    """The best class of each place, repetitions and blanks left out."""
    places = outputs[0][0].argmax(axis=1)
    kept = [
        now for before, now in zip([0, *places], places, strict=False) if now not in (0, before)
    ]
    return "".join(alphabet[index] for index in kept)


def measure_boxes(
    file: Path, inputs: Callable[[int], np.ndarray], boxes: Callable[..., Scored], options: Any
) -> dict[str, Any]:
    """``inputs`` of even numbers calibrate, of odd ones are evaluated."""
    real, found = both(file, [inputs(2 * i) for i in range(options.calibration)])
    pairs = []
    for i in range(options.pictures):
        x = inputs(2 * i + 1)
        pairs.append((boxes(real(x)), boxes(found(x))))
    return compared(pairs)


def measure_reading(file: Path, options: Any) -> dict[str, Any]:
    """Lines that both networks read alike."""
    session = onnxruntime.InferenceSession(file)
    characters = session.get_modelmeta().custom_metadata_map["character"].splitlines()
    alphabet = ["", *characters, " "]
    real, found = both(file, [line(2 * i) for i in range(options.calibration)])
    differences = []
    for i in range(options.pictures):
        x = line(2 * i + 1)
        texts = read(real(x), alphabet), read(found(x), alphabet)
        if texts[0] != texts[1]:
            differences.append(texts)
    same = options.pictures - len(differences)
    return {"pictures": options.pictures, "same": same, "differences": differences}


def measure(case: str, options: Any) -> dict[str, Any]:
    """One case's record."""
    models = options.data / "models"
    if case == "ppocr_rec":
        return measure_reading(models / "ch_PP-OCRv4_rec_infer.onnx", options)
    if case == "ppocr_det":
        return measure_boxes(models / "ch_PP-OCRv4_det_infer.onnx", page, text_boxes, options)
    paths = photographs(options.data / "imagenet1000_s256")
    total = 2 * max(options.pictures, options.calibration)
    chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, total).astype(int)]
    file = models / "retinaface.sim.onnx"
    return measure_boxes(file, lambda i: face_input(chosen[i]), faces, options)


def records(options: Any) -> Iterator[dict[str, Any]]:
    """One per case."""
    for case in options.cases:
        yield {"case": case, **measure(case, options)}


def main() -> None:
    """One JSON line per case."""
    cases = ["retinaface", "ppocr_det", "ppocr_rec"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--calibration", type=int, default=100)
    parser.add_argument("--cases", nargs="*", default=cases, choices=cases)
    for record in records(parser.parse_args()):
        print(json.dumps(record, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
