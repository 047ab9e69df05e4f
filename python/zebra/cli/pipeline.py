"""Model file -> compiled network -> outputs: the rooms, called in their order."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

import zebra
from zebra.cli.console import phases, step
from zebra.errors import ArtifactError, ConfigError, InputError
from zebra.frontend import ModelInfo, describe, load
from zebra.frontend.pictures import Preprocessing, guess, load_arrays
from zebra.frontend.shapes import settle
from zebra.plugin import install

if TYPE_CHECKING:
    from zebra.relay.quantizer import QuantizationReport, Techniques

Array = npt.NDArray[Any]
Tell = Callable[[str, int, int], None]
"""Takes progress: what is being done, how much of it is done and how much there is."""


@dataclass(frozen=True, slots=True)
class Network:
    """A loaded model: Relay module and parameters, and the settled shape of each input."""

    info: ModelInfo
    shapes: dict[str, tuple[int, ...]]
    module: Any
    params: dict[str, Any]

    @property
    def quantized(self) -> bool:
        """Whether the file is quantized already."""
        from zebra.plugin.prepare import is_quantized

        return is_quantized(self.module)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder's files as inputs, read anew in each iteration, one at a time."""

    files: tuple[Path, ...]
    network: Network
    preprocessing: Preprocessing | None

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[dict[str, Array]]:
        for file in self.files:
            yield load_arrays(file, self.network.info, self.network.shapes, self.preprocessing)


Inputs = Folder | Sequence[dict[str, Array]]


class Runner:
    """A compiled network ready to run; ``milliseconds`` of each run so far."""

    def __init__(self, library: Any, device: Any) -> None:
        from tvm.contrib.graph_executor import GraphModule

        self._module = GraphModule(library["default"](device))
        self.milliseconds: list[float] = []

    def __call__(self, inputs: Mapping[str, Array]) -> list[Array]:
        """The outputs in the model's order."""
        self._module.set_input(**{"key": None, **inputs})
        start = time.perf_counter()
        self._module.run()
        self.milliseconds.append((time.perf_counter() - start) * 1000)
        return [self._module.get_output(i).numpy() for i in range(self._module.get_num_outputs())]


def open_network(path: Path, shapes: Mapping[str, Sequence[int]]) -> Network:
    """Read and convert a model file."""
    info = describe(path)
    settled = settle(info, shapes)
    with step(f"Reading {path.name}"):
        install()
        module, params = load(path, shapes)
    return Network(info, settled, module, params)


def find_target(text: str) -> str:
    """The TVM target: a known name, or that of the JSON file ``text``; ConfigError if neither."""
    from zebra.hw import find_config

    if text.endswith(".json"):
        install()
        return zebra.register_config(Path(text))
    if text == "zebra":
        return text
    if not text.startswith("zebra/"):
        raise ConfigError(f"--target {text} is unknown; give zebra, zebra/<config> or a JSON file")
    find_config(text.removeprefix("zebra/"))
    return text


def read_calibration(
    folder: Path | None, network: Network, preprocessing: Preprocessing | None
) -> Folder | None:
    """Every file of the folder as inputs, in the order of their names."""
    if folder is None:
        return None
    if not folder.is_dir():
        raise InputError(f"--calibration {folder}: is no folder; give one with pictures or arrays")
    files = tuple(sorted(path for path in folder.iterdir() if path.is_file()))
    if not files:
        raise InputError(f"--calibration {folder}: the folder is empty")
    return Folder(files, network, preprocessing)


def preprocessing_of(network: Network) -> Preprocessing | None:
    """The guess for networks that take one picture, else None."""
    info = network.info
    if len(info.inputs) != 1:
        return None
    try:
        return guess(info, info.inputs[0], network.shapes[info.inputs[0].name])
    except InputError:
        return None


def quantize(network: Network, target: str, batches: Inputs | None, plain: bool = False) -> Any:
    """The module in int8; one that is quantized already as it is.

    ``plain``: fast, for what depends on no range.
    """
    if network.quantized:
        return network.module
    with phases("Quantizing to int8") as tell:
        from zebra.relay.quantizer import PLAIN

        return zebra.quantize(
            network.module,
            network.params,
            calibration=_counted(batches, tell),
            target=target,
            techniques=PLAIN if plain else None,
            progress=tell,
        )


def quantization(
    network: Network,
    target: str,
    batches: Inputs | None,
    tell: Tell,
    techniques: Techniques | None = None,
) -> QuantizationReport | None:
    """What quantizing a float network did to it; None if nothing of it was quantized."""
    reports: list[QuantizationReport] = []
    zebra.quantize(
        network.module,
        network.params,
        calibration=_counted(batches, tell),
        target=target,
        techniques=techniques,
        tell=reports.append,
        progress=tell,
    )
    return reports[0] if reports else None


def _counted(batches: Inputs | None, tell: Tell) -> Iterator[dict[str, Array]] | None:
    if batches is None:
        return None

    def read() -> Iterator[dict[str, Array]]:
        for number, batch in enumerate(batches, 1):
            yield batch
            tell("inputs", number, len(batches))

    return read()


def build(module: Any, params: Mapping[str, Any], target: str) -> Any:
    """relay.build's library."""
    from tvm import relay

    quiet()
    with step(f"Compiling for {target}"):
        return relay.build(module, target=target, params=dict(params))


def inspect(network: Network, module: Any, target: str) -> Any:
    """zebra.inspect's report of the network's int8 ``module``."""
    with step("Inspecting"):
        return zebra.inspect(module, leftover_params(network), target)


def compile_network(network: Network, module: Any, target: str) -> Any:
    """Build the network's int8 ``module``."""
    return build(module, leftover_params(network), target)


def tuned_by(log: Path | None) -> AbstractContextManager[object]:
    """The context in which builds take a log's best tilings; TuningLogError if it is none."""
    if log is None:
        return nullcontext()
    from tvm import autotvm

    from zebra.tune.records import read_records

    if not log.is_file():
        raise InputError(f"--tuned {log}: there is no such file; zebra tune makes one")
    read_records(log)
    context: AbstractContextManager[object] = autotvm.apply_history_best(str(log))
    return context


def leftover_params(network: Network) -> dict[str, Any]:
    """What is not in the int8 module already: quantizing binds the parameters of a float one."""
    return network.params if network.quantized else {}


def build_for_cpu(network: Network) -> Runner:
    """The same network without Zebra: float on this CPU, or exact integers if quantized.

    Built for its answers, not for speed.
    """
    import tvm
    from tvm import relay

    quiet()
    context: AbstractContextManager[object] = nullcontext()
    if network.quantized:
        # TVM's int8 schedules for named CPUs saturate; plain llvm is exact.
        target, context = "llvm", zebra.exact_reference()
    else:
        target = f"llvm -mcpu={tvm.target.codegen.llvm_get_system_cpu()}"
    # Level 1 compiles in half the time of TVM's usual level 3.
    with step("Compiling for this CPU"), context, tvm.transform.PassContext(opt_level=1):
        library = relay.build(network.module, target=target, params=network.params)
    return Runner(library, tvm.cpu())


def regions(library: Any) -> Sequence[Any]:
    """The accelerator's regions of a built or loaded library."""
    return tuple(zebra.find_regions(library))


def profile(library: Any, host: bool) -> Any:
    """zebra.profile's answer; ``host``: run it too, to time the host's part."""
    with step("Profiling"):
        return zebra.profile(library, host)


def load_library(path: Path) -> Any:
    """A library that ``zebra compile`` wrote; ArtifactError if TVM cannot load it."""
    install()
    import tvm

    try:
        return tvm.runtime.load_module(str(path))
    except (tvm.error.TVMError, OSError, RuntimeError) as error:
        raise ArtifactError(
            f"{path}: is no library that TVM loads ({str(error).strip().splitlines()[-1]}); "
            "compile it again with zebra compile"
        ) from error


def first_bytes(path: Path) -> bytes:
    """The start of a file, to see what it is; InputError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def quiet() -> None:
    """TVM looks for tuned CPU schedules on the network and advises to tune; nobody asked."""
    os.environ.setdefault("TOPHUB_LOCATION", "NONE")
    for name in ("autotvm", "te_compiler", "compile_engine"):
        logging.getLogger(name).setLevel(logging.ERROR)
