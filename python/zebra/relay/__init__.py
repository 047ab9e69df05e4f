"""The relay room: the only one that knows Relay."""

from zebra.relay.calibration import calibrate, current_calibration
from zebra.relay.inspect import HostOp, Report, inspect
from zebra.relay.legalize import legalize
from zebra.relay.lowering import lower
from zebra.relay.partition import partition
from zebra.relay.quantizer import PIPELINE, quantize
from zebra.relay.reference import exact_reference

__all__ = [
    "PIPELINE",
    "HostOp",
    "Report",
    "calibrate",
    "current_calibration",
    "exact_reference",
    "inspect",
    "legalize",
    "lower",
    "partition",
    "quantize",
]
