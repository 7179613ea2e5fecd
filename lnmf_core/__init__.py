"""Nonnegative matrix factorisation: X ≈ D·C for counts, dense or sparse; arrays in, arrays out.

`factorize` runs one loop for every update rule, start and stopping test; `choose_rank` says how many
components X deserves. The core knows no packet, no HTTP and no environment variable.
"""

from lnmf_core.choice import Learned
from lnmf_core.errors import FactorError, MatrixError, ParameterError, RankError
from lnmf_core.factors import Factors, Solution, StopReason
from lnmf_core.normal import NormalEquations
from lnmf_core.rank import choose_rank
from lnmf_core.rules.base import JointRule, RuleChoice, Traits, UpdateRule
from lnmf_core.rules.extrapolated_hals import ExtrapolatedHals
from lnmf_core.rules.hals import Hals
from lnmf_core.rules.joint_gauss_newton import JointGaussNewton
from lnmf_core.rules.learned_momentum import LearnedMomentum
from lnmf_core.rules.multiplicative import Multiplicative
from lnmf_core.rules.projected_gradient import ProjectedGradient
from lnmf_core.rules.steady_hals import SteadyHals
from lnmf_core.solve import factorize
from lnmf_core.start import Nndsvd, RandomStart, Start, WarmStart
from lnmf_core.stopping import Stop

__all__ = [
    "ExtrapolatedHals",
    "FactorError",
    "Factors",
    "Hals",
    "JointGaussNewton",
    "JointRule",
    "Learned",
    "LearnedMomentum",
    "MatrixError",
    "Multiplicative",
    "Nndsvd",
    "NormalEquations",
    "ParameterError",
    "ProjectedGradient",
    "RandomStart",
    "RankError",
    "RuleChoice",
    "Solution",
    "Start",
    "SteadyHals",
    "Stop",
    "StopReason",
    "Traits",
    "UpdateRule",
    "WarmStart",
    "choose_rank",
    "factorize",
]
