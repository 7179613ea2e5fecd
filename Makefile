.DEFAULT_GOAL := help
.PHONY: help deploy-check deploy-secrets install demo test check format reference serve constraints lab test-train bench-core bench-ingest bench-detect bench-service quality train clean fuzz chaos

PYTHON ?= python3
SERVE ?= 1
TRAINING := .venv-train/bin/python -m lnmf_core.training
TRAIN := --output lnmf_core/weights --commit $(shell git rev-parse HEAD 2>/dev/null)
BENCH_CORE ?= peers speed streams thesis real windows growth curves charts pictures reach
NAME ?= background
TRIALS ?= 200
SECONDS ?= 30
TARGETS ?=
KILLS ?= 50
SEED ?= 1
DATABASES ?= sqlite postgres
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: .venv/installed ## Make .venv with the pinned runtime

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "yocho needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Making .venv (about a minute the first time)"
	@$(PYTHON) -m venv .venv
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

.venv/installed-test: .venv/installed
	@echo "Installing the test tools"
	@$(PIP) install --constraint constraints.txt --editable '.[test]'
	@touch $@

demo: install ## Scan the example capture, then serve the result (SERVE=0: stop after the tables)
	@$(BIN)/yocho demo $(if $(filter 0,$(SERVE)),--no-serve)

check: .venv/installed-test ## Lint, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: check ## Everything that must hold: check, then all tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

reference: .venv/installed-test ## Write the tables of settings and metrics into docs/operations.md
	@$(BIN)/python -m service.reference docs/operations.md

format: .venv/installed-test ## Let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

serve: install ## Serve the API on 127.0.0.1:8000 with the SQLite file yocho.db
	@$(BIN)/yocho serve

.venv-train/installed: pyproject.toml constraints.txt
	@echo "Making .venv-train with torch (some minutes)"
	@$(PYTHON) -m venv .venv-train
	@.venv-train/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt \
	  --editable '.[test,train]'
	@touch $@

.venv-train/installed-bench: .venv-train/installed
	@echo "Installing the peers of the benchmarks"
	@.venv-train/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt \
	  --editable '.[test,train,bench]'
	@touch $@

test-train: .venv-train/installed ## The tests that need torch: training and batches
	.venv-train/bin/python -m pytest tests/lnmf_core tests/conformance/test_rules.py

bench-core: .venv-train/installed-bench ## The factorisation beside its peers: benchmarks/results/core
	@for part in $(BENCH_CORE); do echo "benchmarks.core.$$part"; $(ONE_THREAD) .venv-train/bin/python -m benchmarks.core.$$part || exit 1; done

bench-ingest: .venv-train/installed-bench ## Reading captures beside scapy, dpkt and tshark: benchmarks/results/ingest
	@$(ONE_THREAD) .venv-train/bin/python -m benchmarks.ingest.speed

.venv/installed-fuzz: .venv/installed-test
	@echo "Installing atheris"
	@$(PIP) install --constraint constraints.txt --editable '.[test,fuzz]'
	@touch $@

fuzz: .venv/installed-fuzz ## Throw bytes at every parser, SECONDS=30 for each of TARGETS: findings in build/fuzz
	@$(BIN)/python -m tests.fuzz.campaign --seconds $(SECONDS) $(if $(TARGETS),--targets $(TARGETS))

chaos: .venv/installed-test ## Kill API, workers, database and a sensor, KILLS=50 times each: the outcome stays the same
	@$(BIN)/python -m tests.chaos.campaign --kills $(KILLS) --seed $(SEED) --database $(DATABASES)

bench-service: .venv-train/installed-bench ## The service under load by locust, for some minutes: benchmarks/results/service
	@.venv-train/bin/python -m benchmarks.service.load $(if $(LOADS),--loads $(LOADS)) $(if $(DATABASE),--database $(DATABASE))

bench-detect: .venv-train/installed-bench ## Groups of sources in real background, BACKGROUND=files: benchmarks/results/detect
	@test -n "$(BACKGROUND)" || { echo "bench-detect needs traffic to hide campaigns in: make bench-detect BACKGROUND='flows.csv.gz …' [NAME=honeypots] [TRIALS=200] (captures or logs of flows of one sensor, some weeks long)" >&2; exit 1; }
	@$(ONE_THREAD) .venv-train/bin/python -m benchmarks.detect.run $(BACKGROUND) --name $(NAME) --trials $(TRIALS)
	@$(ONE_THREAD) .venv-train/bin/python -m benchmarks.detect.grouping
	@$(ONE_THREAD) .venv-train/bin/python -m benchmarks.detect.ids --flows $(BACKGROUND)

quality: .venv-train/installed-bench ## Who is named in recorded traffic, CAPTURES=folder with a truth.json: docs/quality.md
	@$(ONE_THREAD) .venv-train/bin/python -m benchmarks.detect.hiding
	@$(ONE_THREAD) .venv-train/bin/python -m benchmarks.detect.quality $(if $(CAPTURES),--captures $(CAPTURES)) $(if $(OPTIONAL),--optional $(OPTIONAL))

train: .venv-train/installed ## Train the shipped weights again (an hour): lnmf_core/weights
	@for noise in 0 1e-3 1e-2 1e-1; do \
	  $(TRAINING) mlp --noise $$noise --name mlp-one-step-$$noise $(TRAIN) --samples 1000000 --seed 1 && \
	  $(TRAINING) mlp --noise $$noise --name mlp-unrolled-$$noise $(TRAIN) --start-from mlp-one-step-$$noise \
	    --samples 200000 --batch 100 --rate 0.005 --clip 0.3 --unroll 16 --seed $$([ $$noise = 1e-2 ] && echo 2 || echo 1) \
	    || exit 1; done
	$(ONE_THREAD) $(TRAINING) momentum $(TRAIN) --steps 0 --generations 400 --problems 768 --seed 2
	$(ONE_THREAD) $(TRAINING) choice $(TRAIN)

constraints: ## Pin every dependency anew (needs uv)
	uv pip compile pyproject.toml --extra test --extra fuzz --universal --python-version 3.11 --no-header --no-annotate \
	  --no-emit-index-url --upgrade --output-file constraints.txt

lab: install ## Record examples/lab.pcap again (root; see README)
	examples/record_lab.sh examples

deploy-check: ## Bring deploy/docker-compose.yml up, try it, take it down (needs a Docker daemon)
	deploy/wheels.sh
	deploy/grafana/check.sh
	deploy/check.sh

deploy-secrets: ## Make random secrets in deploy/secrets, for Kubernetes; compose makes its own
	@MODE=0600 deploy/init/secrets.sh deploy/secrets

clean: ## Remove everything that was built
	rm -rf .venv .venv-train build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
