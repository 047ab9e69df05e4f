"""Float Relay -> quantized Relay, one pass per file."""

from zebra.relay.quantizer.pipeline import PIPELINE, Options, Pass, quantize

__all__ = ["PIPELINE", "Options", "Pass", "quantize"]
