"""A profile as files: a page with pictures, and a trace for Perfetto."""

from zebra.runtime.report.page import write_page
from zebra.runtime.report.trace import write_trace

__all__ = ["write_page", "write_trace"]
