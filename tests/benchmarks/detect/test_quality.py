from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.detect.quality import Outcome, baselines, figures, judge, kinds, page, share, with_groups
from benchmarks.detect.truth import read_collection, read_example


@pytest.fixture(scope="module")
def outcome(example: Path) -> Outcome:
    return judge(read_example(example))


def test_a_share_has_its_exact_interval() -> None:
    assert share(0, 0) == "–"
    assert share(0, 17) == "0 of 17 (0.000–0.195)"
    assert share(25, 25) == "25 of 25 (0.863–1.000)"


def test_the_example_is_judged_right(outcome: Outcome) -> None:
    recording = outcome.recording
    assert set(outcome.named) == set(recording.scanners)
    assert outcome.right_kind == len(recording.scanners) == 11
    assert outcome.wrong([*recording.scanners, "192.0.2.1"]) == {"192.0.2.1"}
    rows = dict(figures([outcome]))
    assert rows["recall: listed scanners that were named"].startswith("11 of 11")
    assert {kind: found.split(" (")[0] for kind, found, *_ in kinds([outcome])} == {
        "vertical": "6 of 6", "horizontal": "4 of 4", "block": "1 of 1",
    }  # fmt: skip
    assert [row[0] for row in baselines([outcome])] == ["Yocho", "Zeek's counts", "threshold random walk"]
    assert "| lab.pcap | scan | 11 of 11 | 0 | 29705 |" in page([outcome], "")


def test_a_collection_is_what_its_truth_lists_and_is_there(tmp_path: Path) -> None:
    for name in ("scan.pcap", "quiet.pcap", "odd.pcap", "maybe.pcap"):
        (tmp_path / name).write_bytes(b"no capture")
    scanners = [{"source": "192.0.2.1", "kind": "vertical"}]
    entries = [
        {"file": "scan.pcap", "category": "botnet", "scanners": scanners, "stats": {"packets": 5}},
        {"file": "quiet.pcap", "category": "hard-negative", "scanners": []},
        {"file": "odd.pcap", "category": "awkward", "scanners": []},
        {"file": "maybe.pcap", "category": "scan", "scanners": scanners},
        {"file": "gone.pcap", "category": "scan", "scanners": []},
    ]
    (tmp_path / "truth.json").write_text(json.dumps(entries))
    found = read_collection(tmp_path, ("maybe",))
    assert [(each.name, each.role) for each in found] == [
        ("scan.pcap", "scan"), ("quiet.pcap", "quiet"), ("odd.pcap", "parse"), ("maybe.pcap", "parse"),
    ]  # fmt: skip
    assert (found[0].scanners, found[0].packets) == ({"192.0.2.1": "vertical"}, 5)
    refused = judge(found[0])
    assert (refused.packets, refused.named) == (None, {})


def test_what_is_said_of_groups_is_written_anew() -> None:
    written = "# Quality\n\n## Groups of sources\n\nold\n\n## Recordings\n\nkept\n"
    assert with_groups(written, ["## Groups of sources", "", "new"]) == written.replace("old", "new")
    with pytest.raises(ValueError, match="no section"):
        with_groups("# Quality\n", ["## Groups of sources"])
