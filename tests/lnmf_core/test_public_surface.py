import subprocess
import sys

import pytest

import lnmf_core


def test_exactly_these_names_are_public() -> None:
    assert lnmf_core.__all__ == [
        "ExtrapolatedHals",
        "FactorError",
        "Factorizer",
        "Factors",
        "Hals",
        "JointGaussNewton",
        "JointRule",
        "Learned",
        "LearnedMlp",
        "LearnedMomentum",
        "MatrixError",
        "Memberships",
        "Multiplicative",
        "Nndsvd",
        "NormalEquations",
        "ParameterError",
        "ProjectedGradient",
        "RandomStart",
        "RankError",
        "Rows",
        "RuleChoice",
        "Solution",
        "SparseRows",
        "SpreadRows",
        "Start",
        "SteadyHals",
        "Step",
        "Stop",
        "StopReason",
        "StreamSpec",
        "Traits",
        "UpdateRule",
        "WarmStart",
        "choose_rank",
        "factorize",
        "factorize_batch",
        "factorize_sparse_rows",
    ]


@pytest.mark.parametrize("name", lnmf_core.__all__)
def test_every_public_name_is_there_and_described(name: str) -> None:
    assert getattr(lnmf_core, name).__doc__


def test_importing_the_core_imports_neither_torch_nor_the_service() -> None:
    program = (
        "import sys, lnmf_core\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'service', 'fastapi'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
