"""Cuts a quantized Relay module into regions for the accelerator and the host's rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tvm
from tvm import relay

from zebra.errors import ModelError
from zebra.hw import HwConfig
from zebra.relay import composites as c
from zebra.relay import supported
from zebra.relay.expr import Expr, children, dtype, post_order, rebuild, shape

COMPILER = "zebra"


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs where: ``forms`` by their 8-bit tensor, ``region`` its region's number from 1."""

    order: tuple[Expr, ...]
    forms: Mapping[Expr, c.Form]
    region: Mapping[Expr, int]
    refused: Mapping[Expr, supported.Reason]
    """Why a group that was recognised stays on the host, for each of its calls."""

    def reached(self) -> list[Expr]:
        """What is left to run when groups replace their calls, operands first."""
        root = self.order[-1]
        seen, stack = {root}, [root]
        while stack:
            for value in self._operands(stack.pop()):
                if value not in seen:
                    seen.add(value)
                    stack.append(value)
        return [expr for expr in self.order if expr in seen]

    def outputs(self) -> dict[int, list[Expr]]:
        """For each region the tensors that the host, a later region or the caller reads."""
        root = self.order[-1]
        read = {root} & set(self.region)
        for expr in self.reached():
            own = self.region.get(expr)
            read.update(v for v in self._operands(expr) if self.region.get(v, own) != own)
        outputs: dict[int, list[Expr]] = {}
        for expr in self.order:
            if expr in read:
                outputs.setdefault(self.region[expr], []).append(expr)
        return outputs

    def inputs(self, number: int) -> list[Expr]:
        """The tensors that a region reads and does not compute; constants stay inside it."""
        wanted = {
            value
            for expr in self.reached()
            if self.region.get(expr) == number
            for value in self.forms[expr].inputs
            if self.region.get(value) != number and not isinstance(value, relay.Constant)
        }
        return [expr for expr in self.order if expr in wanted]

    def _operands(self, expr: Expr) -> tuple[Expr, ...]:
        form = self.forms.get(expr)
        return children(expr) if form is None else form.inputs


def partition(mod: Any, config: HwConfig) -> Any:
    """The module with main's supported operators in functions of Compiler="zebra".

    ``mod`` is a relay.qnn module with its parameters bound; weights that are
    still variables keep their operator on the host. Each region takes and
    returns int8 tensors; its function carries ``global_symbol`` and
    ``zebra_config``, the configuration's name. Operators that stay on the host
    stay as they are, so the module's results do not change.
    """
    mod = prepare(mod)
    plan = make_plan(mod["main"], config)
    return _Cutter(mod, plan, config).cut()


def prepare(mod: Any) -> Any:
    """The module with constants folded and types inferred; ModelError where it has no main."""
    if "main" not in [var.name_hint for var in mod.get_global_vars()]:
        raise ModelError("the Relay module has no function main")
    # FoldConstant ends with inferring types itself.
    passes = [relay.transform.InferType(), relay.transform.FoldConstant()]
    return tvm.transform.Sequential(passes, opt_level=0)(mod)


def make_plan(main: Any, config: HwConfig) -> Plan:
    """Matches, checks and groups the operators of a typed function."""
    order = tuple(post_order(main.body))
    forms: dict[Expr, c.Form] = {}
    refused: dict[Expr, supported.Reason] = {}
    for expr in order:
        form = c.match(expr)
        if form is None:
            continue
        reason = supported.check(form, config)
        if reason is None:
            forms[expr] = form
        else:
            refused.update({call: reason for call in form.calls if call not in refused})
    while True:
        region = _regions(order, forms)
        idle = _without_compute(order, forms, region)
        if not idle:
            return Plan(order, forms, _renumbered(region), refused)
        for expr, reason in idle.items():
            refused[forms.pop(expr).calls[-1]] = reason


def _regions(order: tuple[Expr, ...], forms: Mapping[Expr, c.Form]) -> dict[Expr, int]:
    """The number of each accelerated tensor's region; what a region needs has a lower number.

    A tensor joins the earliest region that its operands allow: that of an
    accelerated operand, or the one behind a host operand's regions. Regions are
    convex, because a path through the host always raises the number.
    """
    phase: dict[Expr, int] = {}
    region: dict[Expr, int] = {}
    for expr in order:
        form = forms.get(expr)
        if form is None:
            phase[expr] = max((phase[child] for child in children(expr)), default=0)
            continue
        region[expr] = phase[expr] = max(
            phase[value] + (value not in forms and not isinstance(value, relay.Constant))
            for value in form.inputs
        )
    return region


def _renumbered(region: Mapping[Expr, int]) -> dict[Expr, int]:
    """The regions numbered 1, 2, ... without gaps."""
    numbers = {old: new for new, old in enumerate(sorted(set(region.values())), 1)}
    return {expr: numbers[old] for expr, old in region.items()}


def _without_compute(
    order: tuple[Expr, ...], forms: Mapping[Expr, c.Form], region: Mapping[Expr, int]
) -> dict[Expr, supported.Reason]:
    """The tensors of connected parts not worth a region, with the reason.

    Parts in which nothing is computed; and, where some region does more than look
    up tables, the regions that do not.
    """
    leader: dict[Expr, Expr] = {}

    def find(expr: Expr) -> Expr:
        while leader[expr] != expr:
            leader[expr] = leader[leader[expr]]
            expr = leader[expr]
        return expr

    for expr in order:
        if expr not in forms:
            continue
        leader[expr] = expr
        for value in forms[expr].inputs:
            if value in forms and region[value] == region[expr]:
                leader[find(value)] = expr
    busy = {find(expr) for expr, form in forms.items() if c.is_compute(form)}
    heavy = {region[expr] for expr in forms if c.is_heavy(forms[expr])}
    idle: dict[Expr, supported.Reason] = {}
    for expr in leader:
        if find(expr) not in busy:
            idle[expr] = supported.NOTHING_TO_COMPUTE
        elif heavy and region[expr] not in heavy:
            idle[expr] = supported.ONLY_TABLES
    return idle


class _Cutter:
    """Rebuilds main around calls of the regions, operands first."""

    def __init__(self, mod: Any, plan: Plan, config: HwConfig) -> None:
        self.mod = tvm.IRModule(mod.functions, mod.type_definitions, attrs=mod.attrs)
        self.plan, self.config = plan, config
        self.main = mod["main"]
        self.new: dict[Expr, Expr] = {}
        """Each tensor of the old main as the new main has it."""

    def cut(self) -> Any:
        """The module with the regions as functions of their own."""
        outputs = self.plan.outputs()
        for number in sorted(outputs):
            self._call_region(number, outputs[number])
        body = rebuild(self.main.body, self.new)
        main = relay.Function(
            self.main.params, body, self.main.ret_type, self.main.type_params, self.main.attrs
        )
        self.mod["main"] = main
        return relay.transform.InferType()(self.mod)

    def _call_region(self, number: int, outputs: list[Expr]) -> None:
        params = {
            value: relay.var(f"{COMPILER}_{number}_i{index}", shape=shape(value), dtype="int8")
            for index, value in enumerate(self.plan.inputs(number))
        }
        inner = {value: _from_int8(param, dtype(value)) for value, param in params.items()}
        arguments = [_to_int8(rebuild(value, self.new), dtype(value)) for value in params]
        results = [_to_int8(rebuild(expr, inner), dtype(expr)) for expr in outputs]
        body = results[0] if len(results) == 1 else relay.Tuple(results)
        symbol = f"zebra_{number}"
        function = _typed(relay.Function(list(params.values()), body)).with_attr(
            {
                "Primitive": tvm.tir.IntImm("int32", 1),
                "Inline": tvm.tir.IntImm("int32", 1),
                "Compiler": COMPILER,
                "global_symbol": symbol,
                "zebra_config": self.config.name,
            }
        )
        variable = relay.GlobalVar(symbol)
        self.mod[variable] = function
        call = relay.Call(variable, arguments)
        for index, expr in enumerate(outputs):
            result = call if len(outputs) == 1 else relay.TupleGetItem(call, index)
            self.new[expr] = _from_int8(result, dtype(expr))


def _typed(function: Any) -> Any:
    """The function with inferred types; main's call of it needs its result's."""
    return relay.transform.InferType()(tvm.IRModule.from_expr(function))["main"]


def _to_int8(expr: Expr, kind: str) -> Expr:
    """A tensor of ``kind``, int8 or uint8, as the int8 that carries it."""
    if kind == "int8":
        return expr
    wide = relay.cast(expr, "int32") - relay.const(128, "int32")
    return relay.cast(wide, "int8")


def _from_int8(expr: Expr, kind: str) -> Expr:
    """The int8 that carries a tensor of ``kind`` as that tensor."""
    if kind == "int8":
        return expr
    wide = relay.cast(expr, "int32") + relay.const(128, "int32")
    return relay.cast(wide, kind)
