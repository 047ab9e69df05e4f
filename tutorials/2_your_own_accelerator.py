"""An accelerator variant of your own: one JSON file.

Everything follows from the sizes in that file: the compiler's tilings, the
simulator, the reports. Nothing is compiled again. The result never changes with
the accelerator, only what it costs.
Run it with ``.venv/bin/python tutorials/2_your_own_accelerator.py``.
"""

import json
from pathlib import Path

import numpy as np
from tvm import relay
from tvm.contrib.graph_executor import GraphModule
from tvm.relay import testing

import zebra
from zebra.hw import find_config

# %% Start from a preset (zebra config list names them) and change what you study:
# blocks of 8 lanes instead of 16, and a quarter of the activation memory.
keys = find_config("zebra").to_mapping()
keys |= {"LOG_BLOCK": 3, "LOG_ACT_BUFF_SIZE": keys["LOG_ACT_BUFF_SIZE"] - 2}
Path("narrow.json").write_text(json.dumps(keys, indent=2))

# %% The file's name is the target's: zebra/narrow. A wrong key, value or combination is a
# ConfigError that names it (zebra config check narrow.json does the same).
target = zebra.register_config("narrow.json")
print("registered", target)
try:
    Path("wrong.json").write_text(json.dumps(keys | {"LOG_BLOCK": 12}))
    zebra.register_config("wrong.json")
except zebra.ConfigError as error:
    print("refused:", error)

# %% The same int8 network for both accelerators.
mod, params = testing.dqn.get_workload(batch_size=1, num_actions=10, image_shape=(4, 84, 84))
pictures = list(np.random.default_rng(0).normal(size=(4, 1, 4, 84, 84)).astype("float32"))
quantized = zebra.quantize(mod, params, calibration=pictures)

results = {}
for name in ("zebra", target):
    library = relay.build(quantized, target=name)
    module = GraphModule(library["default"](zebra.device()))
    module.run(data=pictures[0])
    results[name] = module.get_output(0).numpy()
    (region,) = zebra.find_regions(library)
    counters = region.counters()
    _, gemm, _, _ = counters["iterations"]  # of LOAD, GEMM, VEC and STORE
    print(f"{name}: {gemm} iterations of GEMM, DRAM read {counters['dram_read_bytes']} bytes")

# %% Other tilings, other traffic, the same bits.
assert np.array_equal(results["zebra"], results[target])
print("both accelerators give the same bits")
