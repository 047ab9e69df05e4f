"""The presets fit their chips, and docs/presets.md and SOURCES say why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from zebra.hw import KEYS, HwConfig, available_configs, find_config

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/presets.md").read_text(encoding="utf-8").splitlines()
BRAM, ULTRA = 4 << 10, 32 << 10


@dataclass(frozen=True)
class Chip:
    """Blocks of 4 KiB and of 32 KiB, multipliers, and int8 products of one multiplier; LUTs."""

    name: str
    bram: int
    ultra: int
    dsp: int
    packed: int
    gigabytes: float
    luts: int


CHIPS = {
    "pynq": Chip("XC7Z020", 140, 0, 220, 1, 2.1, 53200),
    "ultra96": Chip("XCZU3EG", 216, 0, 360, 2, 8.53, 70560),
    "zcu104": Chip("XCZU7EV", 312, 96, 1728, 2, 19.2, 230400),
    "kv260": Chip("XCK26", 144, 64, 1248, 2, 19.2, 117120),
    "u250": Chip("XCU250", 2688, 1280, 12288, 2, 76.8, 1728000),
}


def blocks(log_bytes: int, bytes_per_access: int, size: int, port: int = 8) -> int:
    """Blocks of ``size`` bytes and ports of ``port`` bytes that hold and deliver so much."""
    return max((1 << log_bytes) // size, bytes_per_access // port, 1)


def act_port(chip: Chip) -> int:
    """Bytes of each of two ports that both read and write."""
    return 8 if chip.ultra else 4


def bank_shape(banks: int, log_bytes: int, width: int, size: int, port: int) -> str:
    """``banks`` equal banks of ``width`` bytes of whole blocks: blocks wide x deep."""
    wide, rest = divmod(width, port)
    deep, left = divmod((1 << log_bytes) // banks, wide * size)
    assert min(wide, deep) >= 1
    assert rest == left == 0
    return f"{banks}: {wide} x {deep}"


def memory_blocks(config: HwConfig, chip: Chip) -> dict[str, int]:
    """Blocks of every memory."""
    lanes, large = config.rows * config.block, ULTRA if chip.ultra else BRAM
    copies = max((1 << config["LOG_TAB_BUFF_SIZE"]) // BRAM, 1)
    return {
        "ACT": blocks(config["LOG_ACT_BUFF_SIZE"], lanes, large, act_port(chip)),
        "WGT": blocks(config["LOG_WGT_BUFF_SIZE"], config.block**2, large),
        "ACC": blocks(config["LOG_ACC_BUFF_SIZE"], 4 * lanes, BRAM),
        "TAB": copies * lanes // 2,
    }


def test_there_is_a_chip_for_every_preset_but_the_default() -> None:
    presets = {path.stem for path in (ROOT / "vta_config").glob("*.json")}
    assert presets == {*CHIPS, "zebra"}
    assert presets <= set(available_configs())


@pytest.mark.parametrize("name", [*CHIPS, "zebra"])
def test_every_number_has_its_source(name: str) -> None:
    data = json.loads((ROOT / f"vta_config/{name}.json").read_text(encoding="utf-8"))
    assert set(data["SOURCES"]) == {key.name for key in KEYS}
    assert all(len(sentence) > 10 for sentence in data["SOURCES"].values())


@pytest.mark.parametrize("name", CHIPS)
def test_memories_fit(name: str) -> None:
    config, chip = find_config(name), CHIPS[name]
    used = memory_blocks(config, chip)
    large = "UltraRAM" if chip.ultra else "BRAM36"
    cells = [name]
    for memory, kind in (("ACT", large), ("WGT", large), ("ACC", "BRAM36")):
        size = 1 << (config[f"LOG_{memory}_BUFF_SIZE"] - 10)
        cells.append(f"{size} KiB: {used[memory]} {kind}")
    cells += [f"{used['TAB']} BRAM36", f"{(1 << config['LOG_PAR_BUFF_SIZE']) // 8} LUTs"]
    assert f"| {' | '.join(cells)} |" in DOCUMENT


@pytest.mark.parametrize("name", CHIPS)
def test_the_chip_is_large_enough(name: str) -> None:
    config, chip = find_config(name), CHIPS[name]
    used = memory_blocks(config, chip)
    ultra = used["ACT"] + used["WGT"] if chip.ultra else 0
    bram = sum(used.values()) - ultra
    array, vector = config.macs_per_cycle // chip.packed, 2 * config.rows * config.block
    dsp = min(array + vector, chip.dsp)
    assert bram <= chip.bram
    assert ultra <= chip.ultra
    row = (
        f"| {name} | {chip.name} | {bram} of {chip.bram} | {ultra} of {chip.ultra} "
        f"| {dsp} of {chip.dsp} | {array + vector - dsp} |"
    )
    assert row in DOCUMENT


@pytest.mark.parametrize("name", CHIPS)
def test_banks_are_whole_blocks(name: str) -> None:
    config, chip = find_config(name), CHIPS[name]
    rows, width, large = config.rows, config.block, ULTRA if chip.ultra else BRAM
    banks = 2 * rows if rows > 1 else 1
    act = bank_shape(banks, config["LOG_ACT_BUFF_SIZE"], width, large, act_port(chip))
    acc = bank_shape(rows, config["LOG_ACC_BUFF_SIZE"], 4 * width, BRAM, 8)
    choice = {1: 0, 4: 1, 8: 2, 16: 4, 32: 9}
    reads, writes = 3 * rows * choice[banks], 2 * banks * choice[rows]
    crossbar = 8 * width * (reads + writes)
    assert crossbar < chip.luts / 5
    assert f"| {name} | {act} | {acc} | {crossbar} LUTs | {chip.luts} |" in DOCUMENT


@pytest.mark.parametrize("name", CHIPS)
def test_the_bus_is_not_faster_than_the_memory(name: str) -> None:
    config, chip = find_config(name), CHIPS[name]
    gigabytes = config["DRAM_BYTES_PER_CYCLE"] * config["CLOCK_MHZ"] / 1000
    assert gigabytes <= chip.gigabytes
    row = f"| {name} | {config['DRAM_BYTES_PER_CYCLE']} | {config['CLOCK_MHZ']} | {gigabytes:.1f} |"
    assert any(line.startswith(row) for line in DOCUMENT)


def test_the_default_has_the_sizes_of_vtas_simulator_sample() -> None:
    config = find_config("zebra")
    assert (config.rows, config.block) == (1, 16)
    assert config["LOG_WGT_BUFF_SIZE"] == 18
    assert config["LOG_ACC_BUFF_SIZE"] == 17
    assert 1 << config["LOG_ACT_BUFF_SIZE"] == 2 * (1 << 15)
