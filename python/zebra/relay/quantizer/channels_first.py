"""Pass: channels-last convolutions, pools and resizes become channels-first."""

from __future__ import annotations

import tvm
from tvm import relay

from zebra.relay.quantizer.rewriting import Expr, Site, op_name, post_order, rewrite

LAYOUTS = {
    "nn.conv2d": ["NCHW", "OIHW"],
    "nn.conv2d_transpose": ["NCHW", "IOHW"],
    "nn.max_pool2d": ["NCHW"],
    "nn.avg_pool2d": ["NCHW"],
    "nn.global_max_pool2d": ["NCHW"],
    "nn.global_avg_pool2d": ["NCHW"],
    "nn.adaptive_avg_pool2d": ["NCHW"],
    "nn.adaptive_max_pool2d": ["NCHW"],
    "nn.upsampling": ["NCHW"],
    "image.resize2d": ["NCHW"],
}
PERMUTATIONS = {("NHWC", "NCHW"): (0, 3, 1, 2), ("NCHW", "NHWC"): (0, 2, 3, 1)}


def channels_first(mod: tvm.IRModule) -> tvm.IRModule:
    """Convert where a convolution is not NCHW; layout changes become transposes."""
    if all(_is_channels_first(node) for node in post_order(mod["main"].body)):
        return mod
    passes = tvm.transform.Sequential(
        [
            relay.transform.ConvertLayout(LAYOUTS),
            relay.transform.FoldConstant(),
            relay.transform.InferType(),
        ]
    )
    with tvm.transform.PassContext(opt_level=3):
        return rewrite(passes(mod), _transpose)


def _is_channels_first(node: Expr) -> bool:
    if op_name(node) not in LAYOUTS:
        return True
    attrs = node.attrs
    layout = attrs.data_layout if hasattr(attrs, "data_layout") else attrs.layout
    kernel = getattr(attrs, "kernel_layout", None)
    return [layout, kernel][: len(LAYOUTS[op_name(node)])] == LAYOUTS[op_name(node)]


def _transpose(site: Site) -> Expr | None:
    if site.name != "layout_transform":
        return None
    permutation = PERMUTATIONS.get((site.node.attrs.src_layout, site.node.attrs.dst_layout))
    return None if permutation is None else relay.transpose(site.args[0], permutation)
