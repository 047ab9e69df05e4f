"""Relay regions as graphs of accelerator nodes."""

from zebra.relay.lowering.lower import lower

__all__ = ["lower"]
