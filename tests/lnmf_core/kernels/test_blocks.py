import numpy as np
import pytest

from lnmf_core.kernels.blocks import bounds_of, from_blocks, to_blocks
from lnmf_core.kernels.tiles import ROWS, room
from lnmf_core.matrix import NO_ORDER


@pytest.mark.parametrize("rows", [1, ROWS, ROWS + 1])
@pytest.mark.parametrize("ordered", [False, True])
def test_blocks_hold_the_factor(rows: int, ordered: bool) -> None:
    rng = np.random.default_rng(rows)
    factor, order = rng.random((rows, 3)), rng.permutation(rows) if ordered else NO_ORDER
    blocks, back = room(-(-rows // ROWS) * 3, ROWS, factor), np.empty_like(factor)
    blocks[:] = np.nan
    to_blocks(factor, order, blocks)
    from_blocks(blocks, order, back)
    np.testing.assert_array_equal(back, factor)
    assert np.isfinite(blocks).all()
    np.testing.assert_array_equal(blocks[:3, 0], factor[order[0] if ordered else 0])


def test_parts_of_rows_have_about_as_much_to_do() -> None:
    lengths = np.repeat([0, 20], [3000, 500])
    bounds = bounds_of(np.append(0, np.cumsum(lengths)), 100, 4)
    assert bounds[0].tolist() == sorted(bounds[0])
    assert (bounds[0, 0], bounds[0, -1], bounds[1, 0], bounds[1, -1]) == (0, 3500, 0, 128)
    assert not (bounds[:, :-1] % ROWS).any()
    work = np.add.reduceat(lengths + 1, bounds[0, :-1])
    assert work.max() < 1.3 * work.mean()
