"""The page and the trace of a profile."""

from __future__ import annotations

import json
import re
import resource
from collections import defaultdict
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.graphs import random_config, random_graph

from zebra.artifact import Artifact
from zebra.codegen import compile_graph
from zebra.errors import InputError
from zebra.hw import HwConfig
from zebra.isa.fields import WORD_BYTES
from zebra.runtime.network import Profile
from zebra.runtime.profile import profile_region
from zebra.runtime.report import write_page, write_trace
from zebra.runtime.report.skeleton import write_whole
from zebra.runtime.report.slices import instruction_slices, merged_slices


def profile_of(seed: int) -> Profile:
    """A random graph, twice: two regions."""
    drawn = random_config(np.random.default_rng(seed))
    # At 300 MHz a cycle is no whole number of nanoseconds.
    hw = HwConfig.from_mapping("random", {**drawn.to_mapping(), "CLOCK_MHZ": 300})
    region = profile_region(Artifact(hw, compile_graph(random_graph(seed), hw)))
    return Profile(hw, (region, region), 0.25)


@pytest.fixture(scope="module", params=[0, 3])
def profile(request: pytest.FixtureRequest) -> Profile:
    return profile_of(request.param)


def test_the_trace_keeps_the_format(profile: Profile, tmp_path: Path) -> None:
    write_trace(profile, tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert set(trace) == {"displayTimeUnit", "traceEvents"}
    assert trace["displayTimeUnit"] == "ns"
    named, lanes = set(), defaultdict(list)
    for event in trace["traceEvents"]:
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
            named.add((event["pid"], event.get("tid")))
            continue
        assert event["ph"] == "X"
        assert event["dur"] >= 0
        assert 0 not in (event["pid"], event["tid"])
        assert isinstance(event["name"], str)
        lanes[event["pid"], event["tid"]].append(event)
    assert set(lanes) <= named
    instructions = [event for (_, tid), lane in lanes.items() if tid > 1 for event in lane]
    assert len(instructions) == profile.code_bytes // WORD_BYTES
    for lane in lanes.values():
        for before, after in pairwise(lane):
            # In whole nanoseconds, as Perfetto counts: it drops events that overlap.
            assert nanoseconds(after["ts"]) >= sum(map(nanoseconds, (before["ts"], before["dur"])))
    last = max(event["ts"] + event["dur"] for lane in lanes.values() for event in lane)
    assert last == pytest.approx(profile.seconds * 1e6, abs=1e-3)


def nanoseconds(microseconds: float) -> int:
    """A time of the trace, which must be a whole number of nanoseconds."""
    found = round(microseconds * 1000)
    assert found / 1000 == microseconds
    return found


def test_layers_of_the_trace_fill_the_time(profile: Profile, tmp_path: Path) -> None:
    write_trace(profile, tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    layers = [event for event in trace["traceEvents"] if event.get("cat") == "layer"]
    assert sum(event["dur"] for event in layers) == pytest.approx(profile.seconds * 1e6, abs=1e-3)


class Reader(HTMLParser):
    """Collects tags, and the addresses a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.append(tag)
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href")]


def test_the_page_needs_nothing_else(profile: Profile, tmp_path: Path) -> None:
    write_page(profile, tmp_path / "page.html", "a <b>%%DATA%%</b> & c</script>")
    text = (tmp_path / "page.html").read_text()
    reader = Reader()
    reader.feed(text)
    assert reader.fetched == []
    assert not re.search(r"https?://|@import|url\(", text)
    assert "<h1>a &lt;b&gt;%%DATA%%&lt;/b&gt; &amp; c&lt;/script&gt;</h1>" in text
    assert reader.tags.count("canvas") == 1
    assert reader.tags.count("svg") == 1 + len(profile.regions)
    dots = sum(1 for row in profile.rows if row.macs and row.window and not row.parts)
    assert reader.tags.count("circle") == dots


def test_the_page_has_every_layer_and_instruction(profile: Profile, tmp_path: Path) -> None:
    write_page(profile, tmp_path / "page.html", "net")
    found = re.search(r"const DATA = (.*);\n", (tmp_path / "page.html").read_text())
    assert found
    data = json.loads(found[1].replace("<\\/", "</"))
    rows = data["layers"]
    assert [row["name"] for row in rows] == [row.name for row in profile.rows]
    single = [row for row in rows if row["chain"] < 0]
    assert [row["name"] for row in single] == [layer.name for layer in profile.layers]
    assert sum(row["cycles"] for row in single) == data["cycles"] == profile.cycles
    for place, chain in enumerate(rows):
        parts = [row for row in rows if row["chain"] == place]
        assert not parts or sum(row["cycles"] for row in parts) == chain["cycles"]
    # An instruction belongs to a chain's layer, never to the chain as a whole.
    owners = {piece[2] for lane in data["slices"] for piece in lane}
    assert owners <= set(range(len(rows))) - {row["chain"] for row in rows}
    counts = [piece[4] for lane in data["slices"] for piece in lane]
    assert sum(counts) == profile.code_bytes // WORD_BYTES


def test_merging_keeps_every_instruction(profile: Profile) -> None:
    region = profile.regions[0]
    single = instruction_slices(region)
    few, gap = merged_slices(region, len(single) // 2)
    assert len(few) <= len(single) // 2
    assert gap > 0
    assert sum(piece.count for piece in few) == len(single)
    assert merged_slices(region, len(single)) == (single, 0)


def test_merging_ends_with_one_slice_a_layer(profile: Profile) -> None:
    """And engine; the layers of a chain are the chain's then."""
    region = profile.regions[0]
    few, _ = merged_slices(region, 1)
    assert sum(piece.count for piece in few) == len(instruction_slices(region))
    assert len(few) == len({(piece.engine, piece.layer) for piece in few})
    single = [place for place, row in enumerate(region.rows) if row in region.layers]
    assert {piece.layer for piece in few} == set(single)


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    place.write_text("the old one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(InputError, match=r"page.html: the page cannot be written \(File too"):
            write_whole(place, "x" * 200, "page")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert place.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [place]
    write_whole(place, "x" * 200, "page")
    assert place.read_text() == "x" * 200


@pytest.mark.parametrize("write", [write_page, write_trace])
def test_a_file_that_cannot_be_written_is_named(write: Any, tmp_path: Path) -> None:
    words = ("net",) if write is write_page else ()
    with pytest.raises(
        InputError, match=r"none/file: the (page|trace) cannot be written \(No such"
    ):
        write(profile_of(0), tmp_path / "none" / "file", *words)
