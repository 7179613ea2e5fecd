"""Speed and quality beside other tools; each file is one command, results go to `benchmarks/results`."""
