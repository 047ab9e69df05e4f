"""Schedule -> verified Program."""

from zebra.codegen.compiled import Compiled, LayerSpan, TensorPort
from zebra.codegen.generate import compile_graph

__all__ = ["Compiled", "LayerSpan", "TensorPort", "compile_graph"]
