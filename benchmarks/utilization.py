"""How busy the array is: whole networks on the cycle model, batch 1, weights from DRAM.

One JSON line per network and configuration: cycles, mac_utilization, bound (the
utilization if every layer ran at its roofline), dram_bytes, host_seconds (with
--host: the part that this CPU does, measured; otherwise null).

    python benchmarks/utilization.py --network resnet-50 mobilenet --config kv260
    python benchmarks/utilization.py --data DIR              # also the real networks in DIR

Ranges come from one synthetic sample: they do not change how long a network takes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from timed import CONFIGS, names_of, profiles


def main() -> None:
    """Print one JSON line per case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with models/*.onnx")
    parser.add_argument("--network", nargs="*")
    parser.add_argument("--config", nargs="*", default=list(CONFIGS))
    parser.add_argument("--host", action="store_true")
    options = parser.parse_args()
    for name in options.network or names_of(options.data):
        for config, profile in profiles(name, options.config, options.data, options.host):
            record = {
                "network": name,
                "config": config,
                "cycles": profile.cycles,
                "mac_utilization": round(profile.mac_utilization, 4),
                "bound": round(profile.bound, 4),
                "dram_bytes": profile.dram_bytes,
                "host_seconds": profile.host_seconds,
            }
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
