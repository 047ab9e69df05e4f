"""Schedule -> verified Program."""

from zebra.codegen.compiled import Compiled, InputPort, LayerPart, LayerSpan, OutputPort
from zebra.codegen.generate import compile_graph

__all__ = ["Compiled", "InputPort", "LayerPart", "LayerSpan", "OutputPort", "compile_graph"]
