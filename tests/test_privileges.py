from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from service.errors import SettingsError
from service.privileges import User, user_named
from tests.conftest import REPOSITORY

SCRIPT = """
import os, socket, sys
from service.privileges import User, drop_privileges
drop_privileges(User({uid}, {gid}) if {given} else None)
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(os.getuid(), os.getgid(), int(status["CapEff"], 16), int(status["CapPrm"], 16), int(status["NoNewPrivs"]))
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
except PermissionError:
    print("refused")
"""

linux = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux")  # noqa: PTH110


def run(user: User | None) -> list[str]:
    given = user or User(0, 0)
    script = SCRIPT.format(uid=given.uid, gid=given.gid, given=user is not None)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, timeout=60, check=True
    )
    return done.stdout.split()


@linux
def test_nothing_is_left_that_others_can_not_do() -> None:
    assert run(None) == [str(os.getuid()), str(os.getgid()), "0", "0", "1", "refused"]


@linux
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_becomes_the_user() -> None:
    assert run(User(65534, 65534)) == ["65534", "65534", "0", "0", "1", "refused"]


def test_users_are_found_by_name() -> None:
    here = pwd.getpwuid(os.getuid())
    assert user_named(here.pw_name) == User(here.pw_uid, here.pw_gid)
    with pytest.raises(SettingsError, match="--user nobody-of-this-name: no such user"):
        user_named("nobody-of-this-name")
