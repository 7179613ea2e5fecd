from __future__ import annotations

import numpy as np

from service.capture.services import parse_service
from service.windows.matrix import count_matrix
from tests.traffic import Try, sweep, window


def test_rows_are_sources_and_columns_services_in_order() -> None:
    tries = [
        *sweep("192.0.2.2", "udp/53", 7),
        Try("192.0.2.1", "10.0.0.1", "tcp/23", 90),
        *sweep("192.0.2.2", "tcp/23", 2),
    ]
    counts = window(tries)
    matrix = count_matrix(counts)
    assert matrix.services.tolist() == [parse_service("tcp/23"), parse_service("udp/53")]
    assert matrix.values.shape == (2, 2)
    assert matrix.values.dtype == np.float64
    # Attempts don't matter, distinct targets do.
    assert np.allclose(matrix.values.toarray(), np.log1p([[1, 0], [2, 7]]))
    assert matrix.values.nnz == 3


def test_an_empty_window_is_an_empty_matrix() -> None:
    matrix = count_matrix(window([]))
    assert matrix.values.shape == (0, 0)
    assert matrix.services.tolist() == []
