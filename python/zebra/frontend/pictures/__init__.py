"""Pictures in, answers out: preprocessing, reading outputs, drawing."""

from zebra.frontend.pictures.arrays import load_arrays
from zebra.frontend.pictures.faces import Face, find_faces
from zebra.frontend.pictures.preprocess import IMAGENET, Preprocessing, guess

__all__ = ["IMAGENET", "Face", "Preprocessing", "find_faces", "guess", "load_arrays"]
