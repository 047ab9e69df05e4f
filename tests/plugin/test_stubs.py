"""Regions are kept from TVM's passes, and what is patched for a build is put back."""

from __future__ import annotations

from typing import Any

import pytest
import tvm
from tests.support.regions import partitioned_module
from tvm import relay
from tvm.relay.backend import te_compiler

import zebra
from zebra.plugin.stubs import set_aside
from zebra.relay.expr import op_name, post_order
from zebra.relay.host_build import quick_build


def calls_in(function: Any) -> set[str]:
    """The operators that a function calls."""
    return {op_name(expr) for expr in post_order(function.body)} - {""}


def test_a_stub_has_the_type_and_attributes_of_its_region() -> None:
    mod = relay.transform.InferType()(partitioned_module())
    stubbed, regions = set_aside(mod)
    assert regions
    for symbol, region in regions.items():
        (stub,) = (f for v, f in stubbed.functions.items() if v.name_hint == symbol)
        assert tvm.ir.structural_equal(stub.checked_type, region.checked_type)
        assert dict(stub.attrs) == dict(region.attrs)
        assert calls_in(stub) == {"zeros"}
        assert "zeros" not in calls_in(region)


def test_setting_aside_leaves_the_module_alone() -> None:
    mod = partitioned_module()
    text = mod.astext()
    set_aside(mod)
    assert mod.astext() == text


@tvm.instrument.pass_instrument
class Watch:
    """What each pass of TVM sees of the accelerator's functions."""

    def __init__(self) -> None:
        self.seen: list[set[str]] = []

    def run_before_pass(self, mod: Any, info: Any) -> None:
        for function in mod.functions.values():
            attrs = getattr(function, "attrs", None)
            if attrs is not None and attrs.get("Compiler") == "zebra":
                self.seen.append(calls_in(function))


def test_tvm_compiles_the_host_part_without_the_regions() -> None:
    watch = Watch()
    mod = partitioned_module()
    with tvm.transform.PassContext(opt_level=3, instruments=[watch]):
        library = relay.build(mod, target="zebra")
    assert zebra.find_regions(library)
    whole = [calls for calls in watch.seen if "negative" in calls]
    assert len(whole) == 1, "types are inferred once, before the regions are set aside"
    assert watch.seen.count({"zeros"}) > 10


def test_a_quick_build_asks_once_and_puts_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(te_compiler, "libinfo", lambda: asked.append(1) or {"X": "1"})
    original = te_compiler.libinfo
    with quick_build():
        assert [te_compiler.libinfo() for _ in range(3)] == [{"X": "1"}] * 3
    assert len(asked) == 1
    assert te_compiler.libinfo is original
