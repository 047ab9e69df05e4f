"""The quantized network region between Relay and the scheduler."""
