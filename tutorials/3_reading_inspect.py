"""Reading ``inspect``: what runs on the accelerator, and why the rest does not.

Nothing is refused fatally: an operator that the accelerator does not have runs
on the CPU. ``zebra.inspect`` (``zebra inspect`` on the command line) tells which,
by which rule, with the value seen and the limit.
Run it with ``.venv/bin/python tutorials/3_reading_inspect.py``.
"""

import numpy as np
import tvm
from tvm import relay

import zebra

# %% A convolution, then an operator that the accelerator has not (a sort), then nothing.
generator = np.random.default_rng(0)
weights = relay.const(generator.normal(size=(16, 3, 3, 3)).astype("float32"))
data = relay.var("data", shape=(1, 3, 16, 16))
features = relay.nn.relu(relay.nn.conv2d(data, weights, padding=(1, 1), kernel_size=(3, 3)))
pooled = relay.nn.batch_flatten(relay.nn.global_avg_pool2d(features))
mod = tvm.IRModule.from_expr(relay.sort(pooled))
params: dict[str, tvm.nd.NDArray] = {}

# %% The report. First line: how many regions (each is one call of the accelerator; more of them
# mean more trips between CPU and accelerator) and their share of the multiply-accumulates.
batches = [generator.normal(size=(1, 3, 16, 16)).astype("float32")]
quantized = zebra.quantize(mod, params, calibration=batches)
report = zebra.inspect(quantized, {}, "zebra")
print(report)

# %% The same as data: regions with their operators and shapes, and the host's operators.
assert report.regions == 1
(region,) = report.parts
print(region.name, "takes", region.inputs, "and gives", region.outputs)
assert region.operators["qnn.conv2d"] == 1
assert report.mac_share == 1.0

# %% Each operator on the host has a rule, a value seen and a limit. The quantize at the start and
# the dequantize at the end are always there: a float network takes and gives floats.
for op in report.host:
    print(f"{op.name} (x{op.count}): {op.rule} Seen: {op.seen}; the limit: {op.limit}.")
assert "sort" in {op.name for op in report.host}
