"""What runs where, and why: the report behind ``zebra inspect``."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tvm import relay

from zebra.errors import ZebraWarning
from zebra.hw import HwConfig
from zebra.relay import supported
from zebra.relay.expr import Expr, dtype, op_name, shape
from zebra.relay.legalize import legalize
from zebra.relay.partition import COMPILER, Plan, make_plan, prepare
from zebra.relay.quantizer.pipeline import config_of, quantize
from zebra.relay.quantizer.techniques import PLAIN

_MAC_OPERATORS = frozenset(
    [
        "nn.batch_matmul",
        "nn.conv1d",
        "nn.conv2d",
        "nn.conv2d_transpose",
        "nn.conv3d",
        "nn.dense",
        "nn.matmul",
        "qnn.batch_matmul",
        "qnn.conv2d",
        "qnn.conv2d_transpose",
        "qnn.dense",
    ]
)


WIDTH = 80
"""Characters of a line of the report's text."""
TOGETHER = "\N{NO-BREAK SPACE}"
"""A space at which no line ends, until the text is wrapped."""


@dataclass(frozen=True, slots=True)
class HostOp:
    """Operators of one name that stay on the host for one reason."""

    name: str
    count: int
    rule: str
    seen: str
    limit: str


@dataclass(frozen=True, slots=True)
class Region:
    """One function for the accelerator: its operators by name, its multiply-accumulates."""

    name: str
    operators: Mapping[str, int]
    macs: int
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Where a network runs on the configuration ``config``."""

    config: str
    parts: tuple[Region, ...]
    """The regions, one by one."""
    host: tuple[HostOp, ...]
    macs: int
    """Multiply-accumulates of all convolutions and dense layers."""

    @property
    def regions(self) -> int:
        """How many pieces run on the accelerator; 1 is best."""
        return len(self.parts)

    @property
    def mac_share(self) -> float:
        """Their share on the accelerator, 0..1; 0 for a network without any."""
        return sum(region.macs for region in self.parts) / self.macs if self.macs else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return {
            "config": self.config,
            "macs": self.macs,
            "mac_share": self.mac_share,
            "regions": self.regions,
            "parts": [asdict(region) for region in self.parts],
            "host": [asdict(op) for op in self.host],
        }

    def __str__(self) -> str:
        count = self.regions
        share = f"{100 * self.mac_share:.1f} % of {self.macs} multiply-accumulates"
        lines = [f"{self.config}: {count} region{'' if count == 1 else 's'}, {share}"]
        lines += [_region_line(region) for region in self.parts]
        lines.append("on the host:" if self.host else "on the host: nothing")
        lines += _reasons(self.host)
        return "\n".join(lines)


def _region_line(region: Region) -> str:
    operators = ", ".join(f"{count}{TOGETHER}{name}" for name, count in region.operators.items())
    return _wrapped(f"{region.name}: {operators}", 2, 4)


def _reasons(host: Sequence[HostOp]) -> Iterator[str]:
    """Each rule with its limit once, below it what was seen and of which operators."""
    rules: dict[tuple[str, str], dict[str, list[str]]] = {}
    for op in host:
        seen = rules.setdefault((op.rule, op.limit), {})
        seen.setdefault(op.seen, []).append(f"{op.count}{TOGETHER}{op.name}")
    for (rule, limit), seen in rules.items():
        yield _wrapped(f"{rule} Limit: {limit}; seen:", 2, 2)
        yield from (_wrapped(f"{what}: {', '.join(names)}", 4, 6) for what, names in seen.items())


def _wrapped(text: str, indent: int, behind: int) -> str:
    """Lines of at most WIDTH characters, the first indented by ``indent``."""
    lines = textwrap.fill(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * behind,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.replace(TOGETHER, " ")


def inspect(mod: Any, params: Mapping[str, Any] | None = None, target: str = "zebra") -> Report:
    """Plan where ``mod`` would run on ``target``; nothing is compiled for it or run.

    ``mod``: a Relay module, float (it is quantized first, without calibration
    data) or relay.qnn; ``target``: "zebra" or "zebra/<config>".
    """
    with warnings.catch_warnings():
        # what runs where does not depend on the ranges
        warnings.filterwarnings("ignore", "no calibration data", ZebraWarning)
        quantized = quantize(mod, params, target=target, techniques=PLAIN)
    return report(legalize(quantized), config_of(target))


def report(mod: Any, config: HwConfig) -> Report:
    """The report of a relay.qnn module that ``partition`` would cut the same way."""
    plan = make_plan(prepare(mod)["main"], config)
    reached = plan.reached()
    on_host = [expr for expr in reached if isinstance(expr, relay.Call) and expr not in plan.forms]
    counted = Counter(_host_key(call, plan) for call in on_host)
    host = tuple(
        HostOp(name, count, reason.rule, reason.seen, reason.limit)
        for (name, reason), count in sorted(counted.items(), key=lambda item: item[0][0])
    )
    regions = tuple(_region(plan, number) for number in sorted(set(plan.region.values())))
    total = sum(map(macs, on_host)) + sum(region.macs for region in regions)
    return Report(config.name, regions, host, total)


def _host_key(call: Expr, plan: Plan) -> tuple[str, supported.Reason]:
    name = op_name(call) or "function call"
    return name, plan.refused.get(call) or supported.unmatched(name, _types(call))


def _types(call: Expr) -> str:
    """Types of a call's tensors for people: "float32, int32 to int8"."""
    operands = sorted({dtype(arg) for arg in call.args if dtype(arg)})
    return f"{', '.join(operands)} to {dtype(call) or 'a tuple'}"


def _region(plan: Plan, number: int) -> Region:
    forms = [form for expr, form in plan.forms.items() if plan.region[expr] == number]
    names = Counter(op_name(call) for form in forms for call in form.calls)
    inputs, outputs = plan.inputs(number), plan.outputs().get(number, [])
    return Region(
        f"{COMPILER}_{number}",
        dict(sorted(names.items())),
        sum(macs(call) for form in forms for call in form.calls),
        tuple(shape(expr) for expr in inputs),
        tuple(shape(expr) for expr in outputs),
    )


def macs(call: Expr) -> int:
    """Multiply-accumulates of a convolution or matrix product, 0 for any other call."""
    name = op_name(call)
    if name not in _MAC_OPERATORS:
        return 0
    data, weight, out = shape(call.args[0]), shape(call.args[1]), shape(call)
    if "conv" not in name:
        return math.prod(out) * data[-1]
    channel = str(call.attrs.data_layout).index("C")
    if "transpose" in name:
        return math.prod(data) * math.prod(weight) // data[channel]
    return math.prod(out) * math.prod(weight) // out[channel]
