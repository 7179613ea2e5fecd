import re

import numpy as np
import pytest

from lnmf_core.rules.learned_mlp import DEFAULT, KIND, LearnedMlp
from lnmf_core.weights.store import SHIPPED, load

NAMES = sorted(path.stem for path in SHIPPED.glob("mlp-*.npz"))


def test_the_default_is_shipped() -> None:
    assert DEFAULT in NAMES
    assert len(NAMES) == 8


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_set_loads_and_says_how_it_was_trained(name: str) -> None:
    weights = load(name, KIND)
    LearnedMlp(weights)
    assert all(array.dtype == np.float32 or key == "schedule" for key, array in weights.arrays.items())
    assert re.fullmatch("[0-9a-f]{40}", weights.card.commit)
    assert weights.card.data == f"uniform, noise {weights.card.settings['noise']}"
    assert name.endswith(f"-{weights.card.settings['noise']:.0e}".replace("e-0", "e-").replace("0e+00", "0"))
    assert weights.card.figures["problems"] == 500
