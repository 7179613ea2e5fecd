"""What the commands that write a set of weights have in common."""

from __future__ import annotations

import argparse
from pathlib import Path


def shipping_parser(rule: str, description: str | None, seed: int) -> argparse.ArgumentParser:
    """Return a parser with the options of every command: where the set goes, its seed and its origin."""
    parser = argparse.ArgumentParser(prog=f"python -m lnmf_core.training {rule}", description=description)
    parser.add_argument("--name", default=rule, help="name of the set that is written (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path(), help="folder of the set (default: this one)")
    parser.add_argument("--seed", type=int, default=seed, help="(default: %(default)s)")
    parser.add_argument("--commit", default="unknown", help="of this code, for the model card")
    return parser
