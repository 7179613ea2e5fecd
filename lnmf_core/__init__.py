"""Nonnegative matrix factorisation: X ≈ D·C for counts, dense or sparse; arrays in, arrays out.

`factorize` runs one loop for every update rule, start and stopping test; `choose_rank` says how many
components X deserves. `Factorizer` follows a stream: changed rows, and one window after another.
`factorize_sparse_rows` finds many small patterns, of which each row follows one or a few. The core knows no
packet, no HTTP and no environment variable.
"""

from lnmf_core.batch import factorize_batch
from lnmf_core.choice import Learned
from lnmf_core.errors import FactorError, MatrixError, ParameterError, RankError
from lnmf_core.factors import Factors, Solution, StopReason
from lnmf_core.memberships import Memberships, SpreadRows, factorize_sparse_rows
from lnmf_core.normal import NormalEquations
from lnmf_core.online import Factorizer
from lnmf_core.online_spec import Step, StreamSpec
from lnmf_core.rank import choose_rank
from lnmf_core.rows import Rows
from lnmf_core.rules.base import JointRule, RuleChoice, Traits, UpdateRule
from lnmf_core.rules.extrapolated_hals import ExtrapolatedHals
from lnmf_core.rules.hals import Hals
from lnmf_core.rules.joint_gauss_newton import JointGaussNewton
from lnmf_core.rules.learned_mlp import LearnedMlp
from lnmf_core.rules.learned_momentum import LearnedMomentum
from lnmf_core.rules.multiplicative import Multiplicative
from lnmf_core.rules.projected_gradient import ProjectedGradient
from lnmf_core.rules.sparse_rows import SparseRows
from lnmf_core.rules.steady_hals import SteadyHals
from lnmf_core.solve import factorize
from lnmf_core.start import Nndsvd, RandomStart, Start, WarmStart
from lnmf_core.stopping import Stop

__all__ = [
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
