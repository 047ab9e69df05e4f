"""Faster tilings: tuning with AutoTVM on the cycle model.

The compiler has a good default tiling for every convolution. AutoTVM can look for
a better one; no result changes, only the time. ``zebra tune`` does all this from
the command line, for every workload, with a progress bar.
Run it with ``.venv/bin/python tutorials/4_tuning.py``.
"""

from pathlib import Path

import numpy as np
from tvm import autotvm, relay
from tvm.contrib.graph_executor import GraphModule
from tvm.relay import testing

import zebra
from zebra.hw import find_config
from zebra.runtime.cycle import simulate
from zebra.tune.measuring import CycleRunner, LocalTimer, PointBuilder
from zebra.tune.task import make_task
from zebra.tune.workloads import workloads_of

# %% A small network of depthwise and 1x1 convolutions, as MobileNet has them.
SIZES = [(32, 64, False), (64, 128, True), (128, 256, True)]
body = relay.var("data", shape=(1, 3, 48, 48))
body = testing.mobilenet.conv_block(body, "stem", 32, strides=(2, 2))
for number, (channels, outs, halves) in enumerate(SIZES):
    name = f"block{number}"
    body = testing.mobilenet.separable_conv_block(body, name, channels, outs, downsample=halves)
mod, params = testing.init.create_workload(relay.Function(relay.analysis.free_vars(body), body))

# %% What there is to tune: the distinct workloads of the int8 network.
config = find_config("zebra")
pictures = list(np.random.default_rng(0).normal(size=(4, 1, 3, 48, 48)).astype("float32"))
quantized = zebra.quantize(mod, params, calibration=pictures)
found = workloads_of(quantized, config)
for each in found:
    print(f"{len(each.layers)} x {each.work}")

# %% Each is an AutoTVM task. Its config space holds legal tilings only, the most promising
# first, and the tuners are AutoTVM's own.
option = autotvm.measure_option(PointBuilder(), CycleRunner(config, LocalTimer(config)))
for each in found:
    task = make_task(each.work, config)
    print(f"{len(task.config_space)} legal tilings")
    tuner = autotvm.tuner.GridSearchTuner(task)
    trials = min(16, len(task.config_space))
    tuner.tune(trials, option, callbacks=[autotvm.callback.log_to_file("tuning.log")])
print(Path("tuning.log").read_text().splitlines()[0])


# %% A build inside apply_history_best takes the best records.
def build():
    """The library, its cycles, and what it says of a picture."""
    library = relay.build(quantized, target="zebra")
    (region,) = zebra.find_regions(library)
    module = GraphModule(library["default"](zebra.device()))
    module.run(data=pictures[0])
    cycles = simulate(region.artifact().compiled, config).cycles
    return cycles, module.get_output(0).numpy()


with autotvm.apply_history_best(None):
    default, expected = build()
with autotvm.apply_history_best("tuning.log"):
    tuned, result = build()
print(f"{default} cycles by default, {tuned} tuned")

# %% Other tilings, the same bits.
assert np.array_equal(result, expected)
print("tuning changed no result")
