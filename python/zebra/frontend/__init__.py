"""Model files -> Relay."""

from zebra.frontend.loading import describe, load
from zebra.frontend.model import Format, ModelInfo, TensorInfo

__all__ = ["Format", "ModelInfo", "TensorInfo", "describe", "load"]
