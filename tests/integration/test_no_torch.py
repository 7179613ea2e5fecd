from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCAN = """
import sys
from pathlib import Path
from service.wiring import Yocho
yocho = Yocho({})
yocho.scan([Path(sys.argv[1])], None, None, None, lambda _: None)
yocho.app(sys.argv[2])
print([name for name in ("torch", "scapy", "scipy.optimize") if name in sys.modules])
"""


def test_scanning_and_serving_import_only_what_they_need(example: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCAN, str(example), str(tmp_path / "x.db")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=True, cwd=example.parent.parent
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["--help", "--version"])
def test_help_is_quick_because_no_compiled_code_is_loaded(command: str) -> None:
    script = (
        "import sys\nfrom service.wiring import main\nsys.argv = ['yocho', sys.argv[1]]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nsys.exit('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, command], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0
