"""Regions inside an ahead-of-time program: a C function that calls the runtime.

AOT links regions by C symbol, so the region becomes a few lines of C that
call ``zebra.run_blob``; the artifact itself travels beside them as the
imported runtime module, under its key.
"""

from __future__ import annotations

from typing import Any

import tvm

_SOURCE = """\
#include <stdint.h>
#include <tvm/runtime/c_runtime_api.h>

#ifdef __cplusplus
extern "C"
#endif
TVM_DLL int32_t {symbol}(TVMValue* tensors, int* codes, int count, TVMValue* result,
                         int* result_code, void* resource) {{
  static TVMFunctionHandle run = 0;
  TVMValue values[{tensors} + 1], ignored;
  int types[{tensors} + 1], ignored_code;
  (void)codes, (void)count, (void)result, (void)result_code, (void)resource;
  if (!run && TVMFuncGetGlobal("zebra.run_blob", &run)) return -1;
  if (!run) {{
    TVMAPISetLastError("libzebra_rt is not loaded; import zebra or load it before the model");
    return -1;
  }}
  values[0].v_str = "{key}";
  types[0] = kTVMStr;
  for (int i = 0; i < {tensors}; ++i) {{
    values[i + 1].v_handle = ((DLTensor*)tensors[i].v_handle)->data;
    types[i + 1] = kTVMOpaqueHandle;
  }}
  return TVMFuncCall(run, values, types, {tensors} + 1, &ignored, &ignored_code);
}}
"""


def c_source_module(symbol: str, key: str, tensors: int, module: Any) -> Any:
    """A C source module with the function ``symbol`` of ``tensors`` tensors (int8, compact).

    It imports ``module``, the runtime module that answers to ``key``.
    """
    source = _SOURCE.format(symbol=symbol, key=key, tensors=tensors)
    create = tvm.get_global_func("runtime.CSourceModuleCreate")
    c_module = create(source, "c", [symbol], [])
    c_module.import_module(module)
    return c_module
