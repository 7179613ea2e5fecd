"""Rights that are given up once an interface is open: whoever parses what strangers send should have none."""

from __future__ import annotations

import ctypes
import os
import pwd
import struct
from dataclasses import dataclass

from service.errors import SettingsError

# linux/capability.h, linux/prctl.h
_CAPABILITY_VERSION_3 = 0x20080522
_NO_NEW_PRIVILEGES = 38


@dataclass(frozen=True, slots=True)
class User:
    """Whom a process becomes."""

    uid: int
    gid: int


def user_named(name: str) -> User:
    """Return the user of a name; raises SettingsError if there is none."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise SettingsError(f"--user {name}: no such user; `getent passwd` lists those there are") from None
    return User(found.pw_uid, found.pw_gid)


def drop_privileges(user: User | None) -> None:
    """Become `user`, if the process is root and one is given, and give up every capability, for good.

    Without a user root stays the owner of its files, and can do nothing else that others can't. Raises
    SettingsError if the system refuses.
    """
    try:
        if user is not None and os.geteuid() == 0:
            os.setgroups([])
            os.setgid(user.gid)
            os.setuid(user.uid)
        _give_up_capabilities()
    except OSError as error:
        raise SettingsError(f"can't give up privileges: {error.strerror}; start as another user") from None


def _give_up_capabilities() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "capset"):  # not Linux: there are no capabilities
        return
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0))
    none = ctypes.create_string_buffer(struct.pack("6I", *[0] * 6))
    if libc.capset(header, none) or libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
