"""The token by which a client may do what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_TOKEN = 512


def read_token(path: Path) -> str:
    """Return the token in a file; raises SettingsError if there is none."""
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_TOKEN).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "holds no token"
        raise SettingsError(f"{path}: {why}; --token-file names a file with a token of `yocho token`") from None
    if not text or any(character.isspace() for character in text):
        raise SettingsError(f"{path}: holds no token; `yocho token create` makes one")
    return text
