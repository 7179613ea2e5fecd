from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from lnmf_core import MatrixError, ParameterError
from lnmf_core.training import problems
from lnmf_core.training.problems import (
    Batch,
    Mixed,
    PlantedCounts,
    Problems,
    Uniform,
    near_start,
    random_start,
    read_counts,
    teach,
)


def real_counts() -> sparse.csr_array[Any]:
    rng = np.random.default_rng(4)
    counts = rng.poisson(rng.gamma(0.5, 2.0, (40, 3)) @ rng.gamma(0.5, 2.0, (3, 20)))
    return sparse.csr_array(np.log1p(counts.astype(float)))


KINDS: list[Problems] = [
    Uniform(),
    Uniform(12, 7, 2, 0.1),
    PlantedCounts(),
    Mixed((Uniform(), PlantedCounts(30, 20, 4))),
    teach(real_counts(), 3, 15, 12),
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)


def residual(batch: Batch) -> float:
    return float(np.linalg.norm(batch.X - batch.D @ batch.Ct.transpose(0, 2, 1)) / np.linalg.norm(batch.X))


@every_kind
def test_problems_are_nonnegative_and_fit_their_factors(kind: Problems) -> None:
    batch = kind.draw(np.random.default_rng(0), 6)
    for array in (batch.X, batch.D, batch.Ct):
        assert len(array) == 6
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
        assert (array >= 0).all()
    assert residual(batch) < 0.6


@every_kind
def test_equal_seeds_give_equal_problems_and_starts(kind: Problems) -> None:
    def drawn(seed: int) -> list[Any]:
        rng = np.random.default_rng(seed)
        batch = kind.draw(rng, 3)
        return [batch.X, batch.D, batch.Ct, *near_start(rng, batch), *random_start(rng, batch)]

    for first, again in zip(drawn(5), drawn(5), strict=True):
        np.testing.assert_array_equal(first, again)
    assert not np.array_equal(drawn(5)[0], drawn(6)[0])


def test_without_noise_the_factors_are_exact() -> None:
    assert residual(Uniform().draw(np.random.default_rng(0), 20)) < 1e-6


def test_noise_has_the_deviation_that_was_asked_for() -> None:
    batch = Uniform(noise=0.1).draw(np.random.default_rng(0), 50)
    product = batch.D @ batch.Ct.transpose(0, 2, 1)
    # Where the product is large nothing is cut off at zero.
    assert (batch.X - product)[product > 0.5].std() == pytest.approx(0.1, rel=0.02)


def test_planted_counts_are_sparse_logarithms_of_counts() -> None:
    X = PlantedCounts().draw(np.random.default_rng(0), 20).X.astype(float)
    np.testing.assert_allclose(np.expm1(X), np.rint(np.expm1(X)), atol=1e-4)
    assert 0.05 < (X > 0).mean() < 0.5


def test_near_starts_are_near_and_random_ones_have_the_mean_of_x() -> None:
    rng = np.random.default_rng(0)
    batch = Uniform().draw(rng, 200)
    D, Ct = near_start(rng, batch)
    inside = (batch.D > 0.1) & (D > 0)
    assert (D - batch.D)[inside].std() == pytest.approx(0.02, rel=0.05)
    assert min(D.min(), Ct.min()) >= 0
    D, Ct = random_start(rng, batch)
    assert (D @ Ct.transpose(0, 2, 1)).mean() == pytest.approx(batch.X.mean(), rel=0.05)
    assert D.dtype == Ct.dtype == np.float32


def test_parts_of_real_counts_are_parts() -> None:
    X = real_counts().toarray()
    batch = teach(real_counts(), 3, 40, 20).draw(np.random.default_rng(0), 2)
    for part in batch.X:
        np.testing.assert_allclose(np.sort(part, axis=None), np.sort(X, axis=None), rtol=1e-6)
    assert teach(real_counts(), 3, 999, 999).draw(np.random.default_rng(0), 1).X.shape == (1, 40, 20)


def test_counts_are_read_without_their_empty_rows_and_columns(tmp_path: Path) -> None:
    counts = np.array([[0, 3, 0], [0, 0, 0], [1, 0, 0]])
    sparse.save_npz(tmp_path / "counts.npz", sparse.csr_array(counts))
    np.testing.assert_allclose(read_counts(tmp_path / "counts.npz").toarray(), np.log1p([[0, 3], [1, 0]]))


def test_files_that_are_no_counts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "counts.npz"
    with pytest.raises(MatrixError, match="is no matrix"):
        read_counts(path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(MatrixError, match="is no matrix"):
        read_counts(path)
    np.savez(path, format=np.array({"a": 1}, dtype=object))
    with pytest.raises(MatrixError, match="is no matrix"):
        read_counts(path)
    sparse.save_npz(path, sparse.csr_array(np.array([[-1.0]])))
    with pytest.raises(MatrixError, match=r"X\[0, 0\] is -1"):
        read_counts(path)
    monkeypatch.setattr(problems, "LARGEST_COUNTS", 10)
    with pytest.raises(MatrixError, match="unpacks to"):
        read_counts(path)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Uniform(rows=0),
        lambda: Uniform(rank=31),
        lambda: Uniform(noise=-1.0),
        lambda: Uniform(noise=float("nan")),
        lambda: PlantedCounts(services=0),
        lambda: PlantedCounts(stray=float("inf")),
        lambda: Mixed(()),
    ],
)
def test_impossible_problems_are_refused(make: Any) -> None:
    with pytest.raises(ParameterError):
        make()


def test_a_batch_fits_together() -> None:
    with pytest.raises(ValueError, match="do not fit together"):
        Batch(np.ones((1, 3, 4)), np.ones((1, 3, 2)), np.ones((1, 5, 2)))
