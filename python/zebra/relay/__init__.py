"""The relay room: the only one that knows Relay."""

from zebra.relay.calibration import calibrate, current_calibration
from zebra.relay.quantizer import PIPELINE, quantize
from zebra.relay.reference import exact_reference

__all__ = ["PIPELINE", "calibrate", "current_calibration", "exact_reference", "quantize"]
