"""Float Relay -> quantized Relay, one pass per file."""

from zebra.relay.quantizer.pipeline import PIPELINE, Options, Pass, quantize
from zebra.relay.quantizer.techniques import DATA_FREE, PLAIN, Techniques

__all__ = ["DATA_FREE", "PIPELINE", "PLAIN", "Options", "Pass", "Techniques", "quantize"]
