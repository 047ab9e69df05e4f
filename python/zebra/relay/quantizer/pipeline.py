"""The quantizer: one ordered list of passes, float Relay -> Relay qnn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy.typing as npt
import tvm
from tvm import relay

from zebra.errors import UsageError, ZebraWarning
from zebra.hw import DEFAULT, HwConfig, find_config
from zebra.relay.calibration import Batch
from zebra.relay.legalize import legalize
from zebra.relay.quantizer.assign import assign_qparams, value_groups
from zebra.relay.quantizer.batch_norm import unfold_batch_norm
from zebra.relay.quantizer.batches import checked_batches
from zebra.relay.quantizer.bind import bind, is_quantized, is_straight_line
from zebra.relay.quantizer.blas import blas_threads
from zebra.relay.quantizer.budget import Choice, choose
from zebra.relay.quantizer.calibrate import calibrate_ranges, read_ranges
from zebra.relay.quantizer.channels_first import channels_first
from zebra.relay.quantizer.emit import emit
from zebra.relay.quantizer.equalize import equalize
from zebra.relay.quantizer.fold_affine import fold_affine
from zebra.relay.quantizer.naming import kind_of, name_of
from zebra.relay.quantizer.ranges import narrowed
from zebra.relay.quantizer.recognize import recognize
from zebra.relay.quantizer.report import QuantizationReport, ValueReport
from zebra.relay.quantizer.rewriting import Expr, infer_type
from zebra.relay.quantizer.scales import QParams, multiplier_bits
from zebra.relay.quantizer.screening import Screening
from zebra.relay.quantizer.spelling import unify_spelling
from zebra.relay.quantizer.spool import Batches, Spool
from zebra.relay.quantizer.steps import Network
from zebra.relay.quantizer.sweep import Swept, sweep
from zebra.relay.quantizer.synthetic import COUNT
from zebra.relay.quantizer.techniques import DATA_FREE, PLAIN, Techniques

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""


@dataclass(frozen=True)
class Options:
    """What the passes are told besides the module."""

    config: HwConfig
    batches: Batches
    techniques: Techniques = PLAIN
    tell: Callable[[QuantizationReport], None] = lambda _: None
    accuracy: float | None = None
    sensitivity: bool = False
    progress: Progress = lambda *_: None

    def counted(self, phase: str) -> Iterator[Mapping[str, npt.NDArray[Any]]]:
        """The calibration batches; ``progress`` hears how many are done."""
        count = len(self.batches.calibration)
        for number, batch in enumerate(self.batches, 1):
            yield batch
            self.progress(phase, number, count)


@dataclass(frozen=True)
class Pass:
    """One step of the quantizer: typed module in, typed module out."""

    name: str
    job: str
    run: Callable[[tvm.IRModule, Options], tvm.IRModule]

    def __str__(self) -> str:
        return f"{self.name}: {self.job}"


def _fold_constants(mod: tvm.IRModule, _: Options) -> tvm.IRModule:
    return infer_type(relay.transform.FoldConstant()(mod))


def _fold_padding(mod: tvm.IRModule, _: Options) -> tvm.IRModule:
    return infer_type(relay.transform.FoldExplicitPadding()(mod))


def _equalize(mod: tvm.IRModule, options: Options) -> tvm.IRModule:
    how = options.techniques
    return equalize(mod, options.counted("equalizing"), how) if how.equalize else mod


def _calibrate(mod: tvm.IRModule, options: Options) -> tvm.IRModule:
    how = options.techniques
    return calibrate_ranges(mod, options.counted("ranges"), how.headroom)


def _quantize(mod: tvm.IRModule, options: Options) -> tvm.IRModule:
    network, how = recognize(mod), options.techniques
    groups = value_groups(network, read_ranges(mod), how.share_sums)
    if how.narrow_ranges:
        tried = partial(options.progress, "narrowing ranges")
        groups = narrowed(network, groups, options.batches, tried)
    params = assign_qparams(groups)
    bits = multiplier_bits(options.config.mult_width)
    if not params or not (how.sweep or options.batches.held_out):
        return emit(mod["main"], network, params, bits)
    swept = sweep(network, params, options.batches, bits, how, partial(options.progress, "layers"))
    choice = choose(
        swept.simulator,
        swept.comparison,
        options.batches,
        options.accuracy,
        options.sensitivity,
    )
    options.tell(_report(network, params, swept, choice, options))
    return emit(mod["main"], network, params, bits, swept.layers, choice.kept)


def _report(
    network: Network,
    params: Mapping[Expr, QParams],
    swept: Swept,
    choice: Choice,
    options: Options,
) -> QuantizationReport:
    values = []
    for number, step in enumerate(network.steps):
        if step.expr not in swept.histograms:
            continue
        own = params[step.expr]
        low, high = own.range
        counts = tuple(int(count) for count in swept.histograms[step.expr])
        sqnr, alone = swept.sqnr_db.get(step.expr), choice.alone_db.get(step.expr)
        name, kind = name_of(step) or f"{number} {kind_of(step)}", kind_of(step)
        kept = step.expr in choice.kept
        values.append(ValueReport(name, kind, low, high, sqnr, counts, alone, kept))
    used = len(options.batches.calibration)
    return QuantizationReport(options.techniques, used, tuple(values), choice.comparison)


PIPELINE: tuple[Pass, ...] = (
    Pass("fold-constants", "compute what depends on no input", _fold_constants),
    Pass(
        "unfold-batch-norm",
        "batch norm becomes multiply and add, dropout disappears",
        lambda mod, _: unfold_batch_norm(mod),
    ),
    Pass("channels-first", "NHWC convolutions become NCHW", lambda mod, _: channels_first(mod)),
    Pass("fold-padding", "zero padding joins the convolution or pool behind it", _fold_padding),
    Pass("unify-spelling", "one spelling per operator", lambda mod, _: unify_spelling(mod)),
    Pass(
        "fold-affine",
        "per-channel multiply and add join the layer before them",
        lambda mod, _: fold_affine(mod),
    ),
    Pass("equalize", "channels come to use as much of int8 as each other", _equalize),
    Pass("calibrate", "note the range of every value", _calibrate),
    Pass("quantize", "int8 values and weights, qnn operators", _quantize),
)


def quantize(
    mod: tvm.IRModule,
    params: Mapping[str, Any] | None = None,
    calibration: Iterable[Batch] | None = None,
    target: str = "zebra",
    stop_after: str | None = None,
    techniques: Techniques | None = None,
    tell: Callable[[QuantizationReport], None] | None = None,
    accuracy: float | None = None,
    sensitivity: bool = False,
    progress: Progress | None = None,
) -> tvm.IRModule:
    """Quantize a float Relay module to int8 ``relay.qnn``.

    ``params`` {name: array} are bound. ``calibration`` is an iterable of inputs:
    arrays (networks with one input) or {input: array}, of the network's shapes;
    it is read once, batch by batch. None makes inputs up (``synthetic``), with a
    ZebraWarning: tens of them, or one if ``techniques`` is PLAIN. ``techniques`` are
    all of them if not given, with wider ranges where inputs are made up.
    ``target`` is "zebra" or "zebra/<config>". ``stop_after`` names a
    pass of PIPELINE after which to stop. Of the batches every fifth is held out, to compare
    the two networks: a poor result gives a ZebraWarning, and ``tell`` gets the
    QuantizationReport where layers were gone through with batches, with each layer's
    own share of the error if ``sensitivity``. Where held-out batches agree less than
    ``accuracy`` (0 to 1: of top-1, or 1 - noise / power of other outputs), the worst
    layers stay float on the host. ``progress`` is called with the phase, how much of it is
    done and how much there is, from this thread.
    The result has "main" only, typed, with the same inputs and outputs: float tensors
    are quantized at the inputs and dequantized at the outputs; what has no int8
    form stays float between them. A module that holds qnn operators is returned in
    integers: bound and legalized.

    Raises QuantizationError (CalibrationError for the batches), ConfigError for
    an unknown configuration, UsageError for an unknown pass.
    """
    passes = _until(stop_after)
    if accuracy is not None and not 0 < accuracy <= 1:
        raise UsageError(f"accuracy {accuracy:g} is not in 0 to 1; give 0.99, for example")
    config = config_of(target)
    mod = bind(mod, params)
    if is_quantized(mod):
        return legalize(mod)
    if not is_straight_line(mod):
        warnings.warn(
            "the network branches or calls functions, which cannot be quantized: it stays float "
            "on the host; export the model without control flow to accelerate it",
            ZebraWarning,
            stacklevel=2,
        )
        return mod
    how = techniques or (DATA_FREE if calibration is None else Techniques())
    made = 1 if how == PLAIN else COUNT
    with Spool() as spool, blas_threads(1):
        given = checked_batches(mod["main"], calibration, made)
        screening = Screening(mod["main"])
        if calibration is None:
            batches = Batches(spool, given, hold_out=False)
        else:
            batches = Batches(spool, screening.watch(given), left_out=screening.outliers)
        reports: list[QuantizationReport] = []
        listener = progress or (lambda *_: None)
        options = Options(config, batches, how, reports.append, accuracy, sensitivity, listener)
        for step in passes:
            mod = step.run(mod, options)
    for sentence in [*screening.warnings(), *_concerns(reports, accuracy)]:
        warnings.warn(sentence, ZebraWarning, stacklevel=2)
    if tell is not None:
        for report in reports:
            tell(report)
    return mod


def _concerns(reports: Iterable[QuantizationReport], accuracy: float | None) -> Iterator[str]:
    """What the user must be warned of."""
    for report in reports:
        if report.comparison is not None and report.comparison.poor:
            yield f"quantization is {report.verdict()}"
        elif report.comparison is not None and report.comparison.score < (accuracy or 0):
            yield (
                f"accuracy {accuracy:g} is not reached: {report.comparison.describe()}, though "
                "every layer stays float; give inputs as in use, or a lower accuracy"
            )


def config_of(target: str) -> HwConfig:
    """The configuration that a target string names: "zebra" or "zebra/<config>"."""
    kind, _, name = str(target).partition("/")
    if kind != "zebra":
        raise UsageError(f'target {target} is not Zebra; give "zebra" or "zebra/<config>"')
    return find_config(name or DEFAULT)


def _until(stop_after: str | None) -> tuple[Pass, ...]:
    names = [step.name for step in PIPELINE]
    if stop_after is None:
        return PIPELINE
    if stop_after not in names:
        raise UsageError(f"there is no pass {stop_after}; the passes are {', '.join(names)}")
    return PIPELINE[: names.index(stop_after) + 1]
