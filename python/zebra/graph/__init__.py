"""The quantized network region between Relay and the scheduler."""

from zebra.graph.check import check
from zebra.graph.interpret import call, run
from zebra.graph.nodes import Graph, Port
from zebra.graph.text import to_text

__all__ = ["Graph", "Port", "call", "check", "run", "to_text"]
