"""Where learned rules are trained: `python -m lnmf_core.training`. Only this part of the core needs torch."""
