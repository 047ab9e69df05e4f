"""The TVM device on which models built for a zebra target run."""

from __future__ import annotations

from typing import Any

import tvm


def device() -> Any:
    """``tvm.cpu(0)``: tensors stay on the host, the region's driver moves them."""
    return tvm.cpu(0)
