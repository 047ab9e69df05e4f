"""What moves over the DRAM's bus in one inference, beside the least that must.

One JSON line per network and configuration: dram_bytes, dram_bytes_min (constants,
inputs, outputs and instructions, each once), weights and instructions (bytes).

    python benchmarks/dram.py --network resnet-50 mobilenet --config kv260
    python benchmarks/dram.py --network vgg-16-first-five --config zebra zebra-act512
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
    options = parser.parse_args()
    for name in options.network or names_of(options.data):
        for config, profile in profiles(name, options.config, options.data):
            record = {
                "network": name,
                "config": config,
                "dram_bytes": profile.dram_bytes,
                "dram_bytes_min": profile.dram_bytes_min,
                "weights": profile.weight_bytes,
                "instructions": profile.code_bytes,
            }
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
