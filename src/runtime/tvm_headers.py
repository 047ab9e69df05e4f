"""Print the directories of TVM's headers, separated by ";", without importing TVM."""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

spec = find_spec("tvm")
if spec is None or spec.origin is None:
    sys.exit(
        f"{sys.executable} has no tvm, whose headers are needed; install "
        "xtc-tvm-python-bindings==0.19.0.12 or choose another Python with -DPython3_EXECUTABLE="
    )
libinfo = runpy.run_path(str(Path(spec.origin).parent / "_ffi" / "libinfo.py"))
print(";".join(libinfo["find_include_path"]()))
