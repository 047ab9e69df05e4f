"""ONNX models made for the tests."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

Array = npt.NDArray[np.generic]


def node(op: str, *inputs: str, output: str = "y", **attributes: object) -> NodeProto:
    return helper.make_node(op, list(inputs), [output], name=f"{op}_0", **attributes)


def model(
    nodes: list[NodeProto],
    dims: tuple[int | str, ...] = (1, 3, 8, 8),
    constants: dict[str, Array] | None = None,
    opset: int = 17,
    domain: str = "",
) -> ModelProto:
    """A model with the float input ``x`` and the output ``y`` of unstated shape."""
    graph: GraphProto = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def convolution(dims: tuple[int | str, ...] = (1, 3, 8, 8)) -> ModelProto:
    weights = np.linspace(-1, 1, 4 * 3 * 3 * 3, dtype=np.float32).reshape(4, 3, 3, 3)
    nodes = [
        node("Conv", "x", "w", output="c", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", "c"),
    ]
    return model(nodes, dims, {"w": weights})
