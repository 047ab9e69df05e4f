"""A quantization report as a page."""

from zebra.relay.quantizer.page.page import ablation_lines, write_page

__all__ = ["ablation_lines", "write_page"]
