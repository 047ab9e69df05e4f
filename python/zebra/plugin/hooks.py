"""relay.build and relay.vm.compile for zebra targets; every other build is passed on untouched.

TVM's list of compiler passes is fixed in C++, so the module is prepared one
step before it: around BuildModule.build and VMCompiler.lower, the narrow
points that see module, parameters and targets.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from tvm import autotvm, relay
from tvm.ir.transform import PassContext
from tvm.relay.backend.vm import VMCompiler
from tvm.target import Target

from zebra.plugin.build_context import BuildContext, building
from zebra.plugin.prepare import prepare
from zebra.plugin.stubs import set_aside
from zebra.plugin.targets import config_of, find_zebra

Function = Callable[..., Any]


def install_hooks() -> None:
    """Wrap TVM's three entry points; a second call changes nothing."""
    _wrap(relay.build_module.BuildModule, "build", _graph_build)
    _wrap(VMCompiler, "lower", _vm_lower)
    _wrap(autotvm.tophub, "context", _tophub_context)


def _wrap(owner: Any, name: str, make: Callable[[Function], Function]) -> None:
    original = getattr(owner, name)
    if not getattr(original, "is_zebra_hook", False):
        hook: Any = functools.wraps(original)(make(original))
        hook.is_zebra_hook = True
        setattr(owner, name, hook)


def _graph_build(original: Function) -> Function:
    signature = inspect.signature(original)

    def build(*args: Any, **settings: Any) -> Any:
        call = signature.bind(*args, **settings)
        call.apply_defaults()
        given = call.arguments
        zebra = find_zebra(_targets(given["target"]))
        if zebra is None:
            return original(*args, **settings)
        given["mod"], regions = set_aside(prepare(given["mod"], given["params"] or {}, zebra))
        given["params"] = None
        aot = given["executor"].name == "aot"
        with _building_for(BuildContext(config_of(zebra), aot, regions)):
            return original(*call.args, **call.kwargs)

    return build


def _vm_lower(original: Function) -> Function:
    def lower(self: Any, mod: Any, target: Any = None, target_host: Any = None) -> Any:
        zebra = find_zebra(_targets(target))
        if zebra is None:
            return original(self, mod, target, target_host)
        mod, regions = set_aside(prepare(mod, self.get_params(), zebra))
        with _building_for(BuildContext(config_of(zebra), False, regions)):
            return original(self, mod, target, target_host)

    return lower


def _tophub_context(original: Function) -> Function:
    """TVM asks a server for tuned CPU schedules before every build; ours need none."""

    def context(target: Any, *args: Any, **settings: Any) -> Any:
        if find_zebra(_targets(target)) is None:
            return original(target, *args, **settings)
        return nullcontext()

    return context


@contextmanager
def _building_for(context: BuildContext) -> Iterator[None]:
    """The surroundings in which TVM compiles the host's part exactly (promise P1)."""
    from zebra.relay.host_build import quick_build
    from zebra.relay.reference import exact_reference

    with building(context), exact_reference(), quick_build(), _host_passes():
        yield


def _host_passes() -> PassContext:
    """The caller's pass context, but without common subexpression elimination in TIR.

    On plain llvm, LLVM 22 refuses what that pass makes of bilinear and cubic
    resizes, which stay on the host.
    """
    given = PassContext.current()
    return PassContext(
        opt_level=given.opt_level,
        required_pass=list(given.required_pass),
        disabled_pass=list(given.disabled_pass),
        instruments=given.instruments,
        config={**given.config, "tir.disable_cse_tir": True},
    )


def _targets(target: Any) -> Iterable[Target]:
    """The Targets in whatever TVM's entry points accept as one; empty if there are none."""
    if target is None:
        target = Target.current(allow_none=True)
    return () if target is None else Target.canon_multi_target(target)
