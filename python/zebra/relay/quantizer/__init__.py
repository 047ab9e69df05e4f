"""Float Relay -> quantized Relay, one pass per file."""

from zebra.relay.quantizer.pipeline import PIPELINE, Options, Pass, quantize
from zebra.relay.quantizer.report import Ablation, Comparison, QuantizationReport, ValueReport
from zebra.relay.quantizer.techniques import DATA_FREE, PLAIN, TITLES, Techniques

__all__ = [
    "DATA_FREE",
    "PIPELINE",
    "PLAIN",
    "TITLES",
    "Ablation",
    "Comparison",
    "Options",
    "Pass",
    "QuantizationReport",
    "Techniques",
    "ValueReport",
    "quantize",
]
