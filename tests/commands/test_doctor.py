from __future__ import annotations

import json

from tests.conftest import Run


def test_each_check_is_a_line_and_a_failure_is_code_1(yocho: Run) -> None:
    done = yocho("--set", "port=0", "doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert all(line.split()[0] in ("ok", "warn") for line in lines)
    assert "ok    port: 127.0.0.1 port 0 is free" in lines
    failed = yocho("--set", "host=192.0.2.1", "doctor", "--json")
    assert failed.returncode == 1
    (port,) = [check for check in map(json.loads, failed.stdout.splitlines()) if check["name"] == "port"]
    assert port["grade"] == "fail"
    assert port["advice"] == "choose another host or port"
