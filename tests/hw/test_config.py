"""A wrong vta_config file is refused with the key, the value and the range."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zebra.errors import ConfigError
from zebra.hw import KEYS, HwConfig, available_configs, find_config, read_config, register
from zebra.hw import registry as registry_module

GOOD = find_config("zebra").to_mapping()


def refusal(changes: dict[str, Any], without: str = "") -> str:
    data = {key: value for key, value in {**GOOD, **changes}.items() if key != without}
    with pytest.raises(ConfigError) as caught:
        HwConfig.from_mapping("mine", data, "mine.json")
    return str(caught.value)


NEEDED = [key for key in KEYS if key.default is None]
OPTIONAL = [key for key in KEYS if key.default is not None]


@pytest.mark.parametrize("key", NEEDED, ids=lambda k: k.name)
def test_a_missing_key(key: Any) -> None:
    expected = f"mine.json: {key.name} is missing; give {key.low}..{key.high} ({key.doc})"
    assert refusal({}, without=key.name) == expected


@pytest.mark.parametrize(
    "key", [key for key in KEYS if key.default is not None], ids=lambda k: k.name
)
def test_a_key_with_a_default(key: Any) -> None:
    data = {name: value for name, value in GOOD.items() if name != key.name}
    assert HwConfig.from_mapping("mine", data)[key.name] == key.default


@pytest.mark.parametrize("key", KEYS, ids=lambda k: k.name)
@pytest.mark.parametrize("side", ["below", "above"])
def test_a_value_out_of_range(key: Any, side: str) -> None:
    value = key.low - 1 if side == "below" else key.high + 1
    expected = f"mine.json: {key.name} = {value} is outside {key.low}..{key.high} ({key.doc})"
    assert refusal({key.name: value}) == expected


@pytest.mark.parametrize("value", ["4", 4.0, True, None, [4]])
@pytest.mark.parametrize("key", KEYS, ids=lambda k: k.name)
def test_a_value_of_another_type(key: Any, value: Any) -> None:
    assert refusal({key.name: value}) == f"mine.json: {key.name} = {value!r} must be an integer"


@pytest.mark.parametrize("key", ["TARGET", "HW_VER"])
def test_a_text_of_another_type(key: str) -> None:
    assert refusal({key: 1}) == f"mine.json: {key} = 1 must be a string"


def test_an_unknown_key() -> None:
    text = refusal({"LOG_INP_BUFF_SIZE": 15})
    assert text.startswith("mine.json: unknown key LOG_INP_BUFF_SIZE; the keys are ['CLOCK_MHZ'")


SIZES = [
    ({"LOG_ACT_BUFF_SIZE": 8, "LOG_BLOCK": 5}, "LOG_ACT_BUFF_SIZE = 8 gives 8 ACT entries", "16"),
    ({"LOG_ACT_BUFF_SIZE": 25, "LOG_BLOCK": 4}, "LOG_ACT_BUFF_SIZE = 25 gives 2097152 ACT", "16"),
    ({"LOG_WGT_BUFF_SIZE": 13, "LOG_BLOCK": 7}, "LOG_WGT_BUFF_SIZE = 13 gives 0 WGT entries", "1"),
    ({"LOG_ACC_BUFF_SIZE": 8, "LOG_BLOCK": 6}, "LOG_ACC_BUFF_SIZE = 8 gives 1 ACC entries", "2"),
    ({"LOG_PAR_BUFF_SIZE": 8, "LOG_BLOCK": 4}, "LOG_PAR_BUFF_SIZE = 8 gives 4 PAR entries", "8"),
    ({"LOG_PAR_BUFF_SIZE": 21, "LOG_BLOCK": 2}, "LOG_PAR_BUFF_SIZE = 21 gives 131072 PAR", "8"),
]


@pytest.mark.parametrize(("changes", "start", "least"), SIZES, ids=[s[1].split()[0] for s in SIZES])
def test_memories_too_small_or_too_large_to_address(
    changes: dict[str, int], start: str, least: str
) -> None:
    text = refusal(changes)
    limit = 1 << (16 if "PAR" in start else 20)
    assert text.startswith(f"mine.json: {start}")
    assert text.endswith(f"LOG_BLOCK = {changes['LOG_BLOCK']}; {least}..{limit} are possible")


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ("a book", "SOURCES must be an object of sentences, one for each key"),
        ({"CLOCK_MHZ": 3}, "SOURCES['CLOCK_MHZ'] = 3 must be a sentence for one of the keys"),
        ({"CLOCK": "x"}, "SOURCES['CLOCK'] = 'x' must be a sentence for one of the keys"),
    ],
)
def test_sources_are_sentences_for_keys(sources: Any, message: str) -> None:
    assert refusal({"SOURCES": sources}) == f"mine.json: {message}"


def test_entries_follow_from_the_keys() -> None:
    config = HwConfig.from_mapping("mine", {**GOOD, "LOG_BATCH": 2, "LOG_BLOCK": 5})
    assert (config.rows, config.block, config.macs_per_cycle) == (4, 32, 4096)
    assert config.act_entries == (1 << GOOD["LOG_ACT_BUFF_SIZE"]) // 32
    assert config.wgt_entries == (1 << GOOD["LOG_WGT_BUFF_SIZE"]) // 1024
    assert config.acc_entries == (1 << GOOD["LOG_ACC_BUFF_SIZE"]) // 128
    assert config.par_entries == (1 << GOOD["LOG_PAR_BUFF_SIZE"]) // 128
    assert config.tab_entries == (1 << GOOD["LOG_TAB_BUFF_SIZE"]) // 256
    assert config.mult_width == GOOD["MULT_WIDTH"]


def test_the_digest_is_of_the_keys_only() -> None:
    first = HwConfig.from_mapping("one", {**GOOD, "SOURCES": {"CLOCK_MHZ": "a choice"}})
    second = HwConfig.from_mapping("two", dict(reversed(GOOD.items())))
    other = HwConfig.from_mapping("one", {**GOOD, "CLOCK_MHZ": 101})
    assert first.digest == second.digest != other.digest
    assert HwConfig.from_mapping("one", first.to_mapping()) == first


BAD_FILES = {
    "not JSON": ("{", "is not JSON"),
    "a list": ("[]", "must hold one JSON object of keys and values"),
    "not text": (b"\xff\xfe\xff", "is not JSON"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file(name: str, tmp_path: Path) -> None:
    content, message = BAD_FILES[name]
    path = tmp_path / "mine.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=f"mine.json: {message}"):
        read_config(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine.json: cannot be read \(No such file"):
        read_config(tmp_path / "mine.json")


@pytest.fixture
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registrations of the test do not outlive it."""
    monkeypatch.setattr(registry_module, "_registered", {})


@pytest.mark.usefixtures("empty_registry")
def test_registering_makes_known(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({**GOOD, "LOG_BATCH": 1}), encoding="utf-8")
    config = read_config(path)
    assert register(config) == "mine"
    assert find_config("mine") == config
    assert "mine" in available_configs()
    assert register(config) == "mine"


@pytest.mark.usefixtures("empty_registry")
def test_a_name_means_one_configuration() -> None:
    with pytest.raises(ConfigError, match="a different configuration named zebra is already known"):
        register(HwConfig.from_mapping("zebra", {**GOOD, "LOG_BATCH": 1}))


def test_an_unknown_name_lists_the_known() -> None:
    known = ", ".join(available_configs())
    with pytest.raises(ConfigError) as caught:
        find_config("not there")
    assert str(caught.value) == f"no configuration is called not there; known: {known}"
    assert "kv260" in known
