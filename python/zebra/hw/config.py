"""HwConfig: the one description of an accelerator (promise P2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zebra.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a vta_config file: its legal range, its default and its meaning."""

    name: str
    low: int
    high: int
    doc: str
    default: int | None = None


KEYS: tuple[Key, ...] = (
    Key("LOG_INP_WIDTH", 3, 3, "log2 of the activation width in bits"),
    Key("LOG_WGT_WIDTH", 3, 3, "log2 of the weight width in bits"),
    Key("LOG_ACC_WIDTH", 5, 5, "log2 of the accumulator width in bits"),
    Key("LOG_BATCH", 0, 6, "log2 of ROWS: vectors processed per cycle"),
    Key("LOG_BLOCK", 2, 7, "log2 of BLOCK_IN and BLOCK_OUT: lanes of a vector"),
    Key("LOG_ACT_BUFF_SIZE", 8, 25, "log2 of the ACT bytes (int8 vectors; VTA's INP and OUT)"),
    Key("LOG_WGT_BUFF_SIZE", 8, 25, "log2 of the WGT bytes (int8 tiles)"),
    Key("LOG_ACC_BUFF_SIZE", 8, 25, "log2 of the ACC bytes (int32 vectors)"),
    Key("LOG_PAR_BUFF_SIZE", 8, 21, "log2 of the PAR bytes (int32 vectors)"),
    Key("LOG_TAB_BUFF_SIZE", 8, 14, "log2 of the TAB bytes (tables of 256)"),
    Key("MULT_WIDTH", 8, 31, "significant bits of a one-pass requantization multiplier", 16),
    Key("CLOCK_MHZ", 1, 2000, "clock of the array in MHz"),
    Key("DRAM_BYTES_PER_CYCLE", 1, 1024, "peak DRAM bytes per clock"),
    Key("DRAM_LATENCY", 0, 10000, "cycles from a request to its first byte"),
    Key("DRAM_BURST_BYTES", 8, 4096, "granularity of a DRAM access in bytes", 64),
)
TEXT_KEYS = ("TARGET", "HW_VER")


@dataclass(frozen=True, slots=True)
class HwConfig:
    """Sizes of one accelerator. Entries are counted as the ISA addresses them.

    Build one with ``HwConfig.from_mapping`` or ``read_config``: they validate.
    """

    name: str
    values: tuple[tuple[str, int], ...]
    target: str = "sim"
    hw_ver: str = "1.0.0"

    @classmethod
    def from_mapping(cls, name: str, data: Mapping[str, Any], origin: str = "") -> HwConfig:
        """Validate a vta_config mapping; ConfigError names the key, the value and the range."""
        where = origin or name
        known = {key.name for key in KEYS} | set(TEXT_KEYS) | {"SOURCES"}
        for key in data:
            if key not in known:
                raise ConfigError(f"{where}: unknown key {key}; the keys are {sorted(known)}")
        _check_sources(data.get("SOURCES", {}), where)
        values = tuple((key.name, cls._value(key, data, where)) for key in KEYS)
        texts = [data.get(key, default) for key, default in zip(TEXT_KEYS, ("sim", "1.0.0"))]
        for key, text in zip(TEXT_KEYS, texts):
            if not isinstance(text, str):
                raise ConfigError(f"{where}: {key} = {text!r} must be a string")
        config = cls(name, values, *texts)
        config._check_capacity(where)
        return config

    @staticmethod
    def _value(key: Key, data: Mapping[str, Any], where: str) -> int:
        if key.name not in data:
            if key.default is not None:
                return key.default
            raise ConfigError(
                f"{where}: {key.name} is missing; give {key.low}..{key.high} ({key.doc})"
            )
        value = data[key.name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigError(f"{where}: {key.name} = {value!r} must be an integer")
        if not key.low <= value <= key.high:
            raise ConfigError(
                f"{where}: {key.name} = {value} is outside {key.low}..{key.high} ({key.doc})"
            )
        return value

    def _check_capacity(self, where: str) -> None:
        for memory, key, entries, least in (
            ("ACT", "LOG_ACT_BUFF_SIZE", self.act_entries, 16),
            ("WGT", "LOG_WGT_BUFF_SIZE", self.wgt_entries, 1),
            ("ACC", "LOG_ACC_BUFF_SIZE", self.acc_entries, 2),
            ("PAR", "LOG_PAR_BUFF_SIZE", self.par_entries, 8),
        ):
            limit = 1 << (16 if memory == "PAR" else 20)
            if not least <= entries <= limit:
                raise ConfigError(
                    f"{where}: {key} = {self[key]} gives {entries} {memory} entries with "
                    f"LOG_BLOCK = {self['LOG_BLOCK']}; {least}..{limit} are possible"
                )

    def __getitem__(self, key: str) -> int:
        for name, value in self.values:
            if name == key:
                return value
        raise KeyError(key)

    @property
    def rows(self) -> int:
        """Vectors processed per cycle (VTA's BATCH)."""
        return 1 << self["LOG_BATCH"]

    @property
    def block(self) -> int:
        """Lanes of a vector, BLOCK_IN = BLOCK_OUT."""
        return 1 << self["LOG_BLOCK"]

    @property
    def act_entries(self) -> int:
        """ACT vectors of BLOCK int8."""
        return (1 << self["LOG_ACT_BUFF_SIZE"]) // self.block

    @property
    def wgt_entries(self) -> int:
        """WGT tiles of BLOCK x BLOCK int8."""
        return (1 << self["LOG_WGT_BUFF_SIZE"]) // self.block**2

    @property
    def acc_entries(self) -> int:
        """ACC vectors of BLOCK int32."""
        return (1 << self["LOG_ACC_BUFF_SIZE"]) // (4 * self.block)

    @property
    def par_entries(self) -> int:
        """PAR vectors of BLOCK int32."""
        return (1 << self["LOG_PAR_BUFF_SIZE"]) // (4 * self.block)

    @property
    def tab_entries(self) -> int:
        """Tables of 256 int8, at most 64."""
        return (1 << self["LOG_TAB_BUFF_SIZE"]) // 256

    @property
    def mult_width(self) -> int:
        """Significant bits of a one-pass requantization multiplier."""
        return self["MULT_WIDTH"]

    @property
    def macs_per_cycle(self) -> int:
        """Peak multiply-accumulates of GEMM per cycle."""
        return self.rows * self.block**2

    def to_mapping(self) -> dict[str, Any]:
        """The validated keys, as a vta_config file holds them."""
        return {"TARGET": self.target, "HW_VER": self.hw_ver, **dict(self.values)}

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of the keys (not of the name)."""
        text = json.dumps(self.to_mapping(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _check_sources(sources: object, where: str) -> None:
    """SOURCES is for people: an object that gives keys a sentence each."""
    names = {key.name for key in KEYS}
    if not isinstance(sources, Mapping):
        raise ConfigError(f"{where}: SOURCES must be an object of sentences, one for each key")
    for key, sentence in sources.items():
        if key not in names or not isinstance(sentence, str):
            raise ConfigError(
                f"{where}: SOURCES[{key!r}] = {sentence!r} must be a sentence for one of the keys"
            )


def read_config(path: Path) -> HwConfig:
    """The validated HwConfig of one JSON file, named by the file's stem."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not JSON ({error})") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must hold one JSON object of keys and values")
    return HwConfig.from_mapping(path.stem, data, str(path))
