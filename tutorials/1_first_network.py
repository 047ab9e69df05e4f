"""Your first network on Zebra.

A small network of TVM's own test collection (it would play Atari games; its
weights are random) is quantized to int8, compiled for the accelerator, run, and
compared twice: with itself in float (close), and with TVM's own arithmetic on
the same int8 module (equal, bit for bit).
Run it with ``.venv/bin/python tutorials/1_first_network.py``.
"""

import numpy as np
import tvm
from tvm import relay
from tvm.contrib.graph_executor import GraphModule
from tvm.relay import testing

import zebra

# %% A network. Yours would come from a file: mod, params = zebra.load("network.onnx").
mod, params = testing.dqn.get_workload(batch_size=1, num_actions=10, image_shape=(4, 84, 84))
generator = np.random.default_rng(0)
pictures = [generator.normal(size=(1, 4, 84, 84)).astype("float32") for _ in range(4)]


def run(library: object, picture: np.ndarray) -> np.ndarray:
    """What the network says of one picture: [1, 10] values."""
    module = GraphModule(library["default"](zebra.device()))
    module.run(data=picture)
    return module.get_output(0).numpy()


# %% Compile it for the accelerator. Importing zebra made "zebra" a target like any other.
# Calibration data is optional; some tens of typical inputs give the best ranges.
with zebra.calibrate(pictures):
    library = relay.build(mod, target="zebra", params=params)
on_zebra = run(library, pictures[0])

# %% Beside it, the float network on this CPU.
in_float = run(relay.build(mod, target="llvm", params=params), pictures[0])
print("largest difference to float:", np.abs(on_zebra - in_float).max())
assert on_zebra.argmax() == in_float.argmax()

# %% The promise: the accelerator computes exactly what TVM says the int8 module means.
quantized = zebra.quantize(mod, params, calibration=pictures)
on_zebra = run(relay.build(quantized, target="zebra"), pictures[0])
with zebra.exact_reference():
    reference = run(relay.build(quantized, target="llvm"), pictures[0])
assert np.array_equal(on_zebra, reference)
print("equal to TVM's int8 arithmetic, bit for bit")

# %% Deploy: one file, loaded by a program that imports zebra and tvm.
library.export_library("first_network.so")
again = tvm.runtime.load_module("first_network.so")
assert np.array_equal(run(again, pictures[1]), run(library, pictures[1]))
print("the exported library says the same")
