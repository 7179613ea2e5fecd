"""`python -m lnmf_core.training RULE [options]`: train a learned rule."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES = {
    "choice": "lnmf_core.training.choice",
    "damping": "lnmf_core.training.damping",
    "mlp": "lnmf_core.training.mlp",
    "momentum": "lnmf_core.training.momentum",
}
"""Each module has `main(arguments) -> int`, and is imported only if it is asked for."""


def main(arguments: Sequence[str]) -> int:
    """Return the exit status: 0, 1 if the training failed, 2 for a command that is none."""
    if not arguments or arguments[0] not in RULES:
        sys.stderr.write(f"usage: python -m lnmf_core.training {{{','.join(RULES)}}} [--help]\n")
        return 2
    rule, *options = arguments
    try:
        status: int = importlib.import_module(RULES[rule]).main(options)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error.name} is missing: install it with pip install 'yocho[train]'\n")
        return 1
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
