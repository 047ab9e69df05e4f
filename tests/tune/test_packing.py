from __future__ import annotations

import json

import pytest

from tests.support.workloads import WORKLOADS
from zebra.hw import find_config
from zebra.schedule import tiling
from zebra.schedule.cost import best_gemm_tiling
from zebra.schedule.tiling import GemmTiling, GemmWorkload
from zebra.tune.packing import from_knobs, pack, to_knobs, unpack


@pytest.mark.parametrize("work", WORKLOADS.values(), ids=WORKLOADS)
def test_a_workload_survives_a_log_line(work: GemmWorkload) -> None:
    assert unpack(json.loads(json.dumps(pack(work))), tiling) == work


@pytest.mark.parametrize("work", WORKLOADS.values(), ids=WORKLOADS)
def test_a_tiling_survives_its_knobs(work: GemmWorkload) -> None:
    best = best_gemm_tiling(work, find_config("zebra"))
    knobs = to_knobs(best)
    assert all(type(value) is int for value in knobs.values())
    again = from_knobs(GemmTiling, knobs)
    assert again == best
    assert type(again.order) is type(best.order)


def test_a_field_with_its_default_value_is_left_out() -> None:
    assert "before" not in str(pack(WORKLOADS["conv"]))
    assert "before" in str(pack(WORKLOADS["table_before"]))


@pytest.mark.parametrize(
    ("packed", "text"),
    [
        (["Order", 1], "Order is nothing that a workload is made of"),
        (["GemmWorkload", ["batch", 1]], "GemmWorkload cannot be made of"),
        (["GemmWorkload", ["colour", 1]], "GemmWorkload cannot be made of"),
        (["GemmWorkload", 7], "GemmWorkload cannot be made of"),
    ],
    ids=["not_a_dataclass", "too_little", "unknown_field", "no_pairs"],
)
def test_what_is_no_workload_is_refused(packed: list[object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        unpack(packed, tiling)


def test_a_missing_knob_is_named() -> None:
    with pytest.raises(ValueError, match="in_blocks is missing"):
        from_knobs(GemmTiling, {"out_blocks": 1})
