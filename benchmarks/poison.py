"""Poisoned networks and calibration pictures: what each costs, and what is said about it.

    python benchmarks/poison.py --data DIR [--pictures 1000] [--networks NAME ...]
        [--poisons NAME ...]

One JSON line per poison: network, poison, top1_float (of the poisoned network in its own
framework), top1_int8 and agreement (null where it is refused) on evaluation pictures that
are never poisoned, and outcome: "ok", "warned: ..." or "refused: ...". "none" is the
network as it is. 50 calibration pictures unless the poison says otherwise.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from accuracy import CASES, Case, compared, float_network, pictures_of, split
from common import build
from onnx import helper, numpy_helper

import zebra
from zebra.errors import ZebraError, ZebraWarning

CALIBRATION = 50
BAD = 17
"""The calibration picture that is poisoned where one is."""
CHANNEL = 0
EPSILON = 1e-5
Batches = list[np.ndarray]


class Network:
    """An ONNX network and, in it, a convolution that only one other reads."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.arrays = {each.name: each for each in model.graph.initializer}
        self.made = {node.output[0]: node for node in model.graph.node}
        for reader in model.graph.node:
            first = self._only_source(reader) if reader.op_type == "Conv" else None
            if first is not None and len(self.arrays[reader.input[1]].dims) == 4:
                self.first, self.reader = first, reader
                break

    def _only_source(self, reader: onnx.NodeProto) -> onnx.NodeProto | None:
        """The convolution, with a rectifier at most behind it, that only ``reader`` reads."""
        group = next((a.i for a in reader.attribute if a.name == "group"), 1)
        node, name = self.made.get(reader.input[0]), reader.input[0]
        while group == 1 and node is not None and self._uses(name) == 1:
            if node.op_type == "Conv":
                return node
            name = node.input[0]
            node = self.made.get(name) if node.op_type == "Relu" else None
        return None

    def _uses(self, name: str) -> int:
        return sum(list(node.input).count(name) for node in self.model.graph.node)

    def scale(self, node: onnx.NodeProto, which: int, index: Any, factor: float) -> None:
        """Multiply part of a parameter of a node."""
        array = numpy_helper.to_array(self.arrays[node.input[which]]).copy()
        array[index] *= np.float32(factor)
        self.arrays[node.input[which]].CopyFrom(numpy_helper.from_array(array, node.input[which]))

    def add_batch_norm(self, epsilon: float = EPSILON, **changed: float) -> None:
        """An identity behind the first convolution, but for CHANNEL's ``changed`` parameters."""
        count = self.arrays[self.first.input[1]].dims[0]
        usual = {"scale": 1.0, "bias": 0.0, "mean": 0.0, "var": 1.0 - epsilon}
        for name, value in usual.items():
            vector = np.full(count, value, np.float32)
            vector[CHANNEL] = changed.get(name, value)
            self.model.graph.initializer.append(numpy_helper.from_array(vector, f"poison_{name}"))
        result, self.first.output[0] = self.first.output[0], "poison_input"
        names = ["poison_input", *(f"poison_{name}" for name in usual)]
        norm = helper.make_node("BatchNormalization", names, [result], epsilon=epsilon)
        nodes = list(self.model.graph.node)
        self.model.graph.node.insert(nodes.index(self.first) + 1, norm)


def _grown(network: Network, factor: float, undone: float = 1.0) -> None:
    network.scale(network.first, 1, CHANNEL, factor)
    network.scale(network.first, 2, CHANNEL, factor)
    network.scale(network.reader, 1, (slice(None), CHANNEL), undone)


def _norm(network: Network, undone: float = 1.0, epsilon: float = EPSILON, **bad: float) -> None:
    network.add_batch_norm(epsilon, **bad)
    network.scale(network.reader, 1, (slice(None), CHANNEL), undone)


def _bad_weight(network: Network, value: float) -> None:
    network.scale(network.reader, 1, (CHANNEL, CHANNEL), value)


NETWORKS: dict[str, Callable[[Network], None]] = {
    "none": lambda _: None,
    "channel_x100_undone": lambda n: _grown(n, 100, 0.01),
    "channel_x100": lambda n: _grown(n, 100),
    "batch_norm_as_it_is": lambda n: _norm(n),
    "variance_0_undone": lambda n: _norm(n, EPSILON**0.5, var=0.0),
    "variance_0": lambda n: _norm(n, var=0.0),
    "variance_0_unread": lambda n: _norm(n, 0.0, var=0.0),
    "variance_1e-12_epsilon_0_undone": lambda n: _norm(n, 1e-6, 0.0, var=1e-12),
    "variance_1e-12_epsilon_0": lambda n: _norm(n, 1.0, 0.0, var=1e-12),
    "variance_1e-12_epsilon_0_unread": lambda n: _norm(n, 0.0, 0.0, var=1e-12),
    "variance_0_epsilon_0": lambda n: _norm(n, 1.0, 0.0, var=0.0),
    "variance_negative": lambda n: _norm(n, var=-1.0),
    "variance_inf": lambda n: _norm(n, var=np.inf),
    "batch_norm_mean_nan": lambda n: _norm(n, mean=np.nan),
    "weight_nan": lambda n: _bad_weight(n, np.nan),
    "weight_inf": lambda n: _bad_weight(n, np.inf),
}
"""What is done to the network, by name."""


def _one(batches: Batches, change: Callable[[np.ndarray], np.ndarray]) -> Batches:
    return [change(x) if i == BAD else x for i, x in enumerate(batches)]


def _bytes(case: Case, x: np.ndarray) -> np.ndarray:
    mean, std = (np.float32(v)[:, None, None] for v in (case.mean, case.std))
    return np.asarray((x * std + mean) * np.float32(255))


CALIBRATIONS: dict[str, Callable[[Case, Batches], Batches]] = {
    "picture_x1000": lambda _, b: _one(b, lambda x: x * np.float32(1000)),
    "picture_0_255": lambda c, b: _one(b, lambda x: _bytes(c, x)),
    "picture_x1e35": lambda _, b: _one(b, lambda x: x * np.float32(1e35)),
    "pictures_zero": lambda _, b: [np.zeros_like(x) for x in b],
    "pictures_constant": lambda _, b: [
        np.broadcast_to(x.mean(axis=(2, 3), keepdims=True), x.shape) for x in b
    ],
    "pictures_half_constant": lambda _, b: [
        np.broadcast_to(x.mean(axis=(2, 3), keepdims=True), x.shape) if i % 2 else x
        for i, x in enumerate(b)
    ],
    "picture_single": lambda _, b: b[:1],
    "picture_repeated": lambda _, b: b[:1] * len(b),
    "pictures_four": lambda _, b: b[:4],
    "pictures_0_255": lambda c, b: [_bytes(c, x) for x in b],
    "pictures_0_1": lambda c, b: [_bytes(c, x) / np.float32(255) for x in b],
    "picture_nan": lambda _, b: _one(b, lambda x: np.where(x == x.max(), np.nan, x)),
    "picture_inf": lambda _, b: _one(b, lambda x: np.where(x == x.max(), np.inf, x)),
}
"""What is done to the calibration pictures, by name."""


def measure(name: str, poisons: list[str], data: Path, pictures: int) -> Iterator[dict[str, Any]]:
    """One record per poison."""
    case = CASES[name]
    source = pictures_of(case, data)
    first, chosen = split(len(source.labels), pictures, CALIBRATION)
    batches = [source.get(i) for i in first]
    for poison in poisons:
        network = Network(onnx.load(data / "models" / case.file))
        NETWORKS.get(poison, NETWORKS["none"])(network)
        shown = CALIBRATIONS.get(poison, lambda _, b: b)(case, batches)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "poisoned.onnx"
            onnx.save(network.model, path)
            run = float_network(path)
            wanted = np.concatenate([run(source.get(i)).copy() for i in chosen])
            outcome, int8 = quantized(path, shown)
        record = {"network": name, "poison": poison}
        labels = source.labels[chosen]
        if int8 is None:
            top1 = round(float((wanted.argmax(axis=1) == labels).mean()), 5)
            scores = {"top1_float": top1, "top1_int8": None, "agreement": None}
        else:
            found = np.concatenate([int8(source.get(i)) for i in chosen])
            scores = compared(wanted, found, labels)
            del scores["sqnr_db"]
        yield {**record, **scores, "outcome": outcome}


def quantized(path: Path, shown: Batches) -> tuple[str, Callable[[np.ndarray], np.ndarray] | None]:
    """What is said, and the int8 network where there is one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            mod, params = zebra.load(path)
            mod = zebra.quantize(mod, params, shown)
        except ZebraError as error:
            return f"refused: {type(error).__name__}: {error}", None
    (variable,) = mod["main"].params
    run = build(mod, "zebra")
    said = [str(each.message) for each in caught if issubclass(each.category, ZebraWarning)]
    outcome = f"warned: {' | '.join(said)}" if said else "ok"
    return outcome, lambda x: run({variable.name_hint: x})[0]


def main() -> None:
    """One JSON line per network and poison."""
    every = [*NETWORKS, *CALIBRATIONS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--networks", nargs="*", default=["resnet20"], choices=list(CASES))
    parser.add_argument("--poisons", nargs="*", default=every, choices=every)
    options = parser.parse_args()
    for name in options.networks:
        for record in measure(name, options.poisons, options.data, options.pictures):
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
