"""Schedule -> verified Program."""

from zebra.codegen.compiled import Compiled, InputPort, LayerSpan, OutputPort
from zebra.codegen.generate import compile_graph

__all__ = ["Compiled", "InputPort", "LayerSpan", "OutputPort", "compile_graph"]
