"""Committed files that follow from the declaration are the regenerated ones (promise P3)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from zebra.isa.codec import encode
from zebra.isa.document import document
from zebra.isa.header import header
from zebra.isa.insns import DmaLevel, Fill, Load, Memory, Post

ROOT = Path(__file__).parents[2]

PROBE = """\
#include <cstdio>
#include "zebra/isa.h"
using namespace zebra::isa;
int main() {
  std::uint8_t bytes[kWordBytes];
  while (std::fread(bytes, 1, kWordBytes, stdin) == kWordBytes) {
    Load load; Fill fill; Post post; Opcode opcode;
    const bool known = decode_opcode(bytes, &opcode);
    if (decode(bytes, &load))
      std::printf("load %u %u %u %u %u\\n", load.signal, static_cast<unsigned>(load.memory),
                  load.lanes, load.loops[3].dram, load.loops[3].extent);
    else if (decode(bytes, &fill)) std::printf("fill %u %d\\n", fill.sram, fill.value);
    else if (decode(bytes, &post))
      std::printf("post %d %d %d\\n", post.offset, post.low, post.high);
    else std::printf("none %d\\n", known);
  }
}
"""


@pytest.mark.parametrize(
    ("name", "text"), [("include/zebra/isa.h", header()), ("docs/isa.md", document())]
)
def test_committed_files_are_current(name: str, text: str) -> None:
    committed = (ROOT / name).read_text(encoding="utf-8")
    assert committed == text, f"{name} differs; run python tools/generate.py"


def test_every_field_and_enum_is_documented() -> None:
    text = document()
    for line in text.splitlines():
        if line.startswith("| "):
            assert not line.endswith("|  |"), line
    assert "| 3 | MUL | R((A + bias0) * (B + bias1), 0). |" in text
    assert "| 12..14 | memory | 0..5 | destination memory |" in text


def test_the_header_decodes_what_python_encodes(tmp_path: Path) -> None:
    compiler = shutil.which("g++")
    assert compiler is not None, "g++ is needed, as for the simulator"
    (tmp_path / "probe.cc").write_text(PROBE, encoding="utf-8")
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wconversion", f"-I{ROOT / 'include'}"]
    subprocess.run([compiler, *flags, "probe.cc", "-o", "probe"], cwd=tmp_path, check=True)
    unused = bytearray(encode(Fill()))
    unused[-1] = 0x80
    bad_memory = bytearray(encode(Load()))
    bad_memory[1] |= 0x70
    levels = (DmaLevel(), DmaLevel(), DmaLevel(), DmaLevel(65536, (1 << 32) - 1, 7))
    words = [
        encode(Load(signal=8, memory=Memory.TAB, lanes=128, loops=levels)),
        encode(Fill(sram=(1 << 20) - 1, value=-128)),
        encode(Post(offset=-512, low=-1, high=3)),
        bytes(unused),
        bytes(bad_memory),
        bytes(64),
    ]
    done = subprocess.run(
        [tmp_path / "probe"], input=b"".join(words), capture_output=True, check=True
    )
    assert done.stdout.decode().splitlines() == [
        "load 8 4 128 4294967295 65536",
        "fill 1048575 -128",
        "post -512 -1 3",
        "none 1",
        "none 1",
        "none 0",
    ]
