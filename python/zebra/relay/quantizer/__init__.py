"""Float Relay -> quantized Relay, one pass per file."""

from zebra.relay.quantizer.pipeline import PIPELINE, Options, Pass, quantize
from zebra.relay.quantizer.techniques import PLAIN, Techniques

__all__ = ["PIPELINE", "PLAIN", "Options", "Pass", "Techniques", "quantize"]
