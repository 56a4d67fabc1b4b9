# Two commands on a fresh machine with Python 3.11 or newer: `make train` and `make test`.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
CONFIG := --config=configs/quickstart.py
# A lock names every package that is installed, so pip has nothing to find by itself.
LOCKED := $(RUN) -m pip install --quiet --no-deps --no-build-isolation --require-hashes
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --custom-compile-command "make lock"
CPP := $(wildcard stochconv_jax/ops/csrc/* stochconv_jax/data/pipeline/csrc/*)
BASE_CONFIG := --config=configs/quickstart.py:base

.PHONY: venv lock licences weights train test test-slow lint benchmarks faults
.DELETE_ON_ERROR:

venv: $(VENV)/installed

$(VENV)/installed: requirements-build.lock requirements.lock pyproject.toml setup.py $(CPP)
	$(PYTHON) -m venv $(VENV)
	$(LOCKED) -r requirements-build.lock
	$(LOCKED) -r requirements.lock
	rm -f stochconv_jax/ops/_native* stochconv_jax/data/pipeline/_native*
	$(RUN) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(RUN) -c "from stochconv_jax.ops.native import is_built; is_built() or \
		print('The operations in C++ were not built, for want of a compiler; all works, slower on a CPU. \
	To have them, install g++ or clang and run: rm $@; make venv')"
	touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.lock
	$(LOCKED) -r requirements-dev.lock
	touch $@

# PyTorch's build for the CPU and its build for CUDA are one version with two hashes, and a machine
# may have either at hand: it is pinned without a hash, and what it asks for depends on the build.
$(VENV)/installed-torch: $(VENV)/installed requirements-torch.txt requirements-alone.lock
	$(RUN) -m pip install --quiet -r requirements-torch.txt
	$(LOCKED) -r requirements-alone.lock
	touch $@

lock: $(VENV)/installed-dev
	$(LOCK) requirements-build.txt --output-file requirements-build.lock
	$(LOCK) requirements.txt --output-file requirements.lock
	$(LOCK) requirements-dev.txt --constraint requirements.lock --output-file requirements-dev.lock
	$(LOCK) --no-deps requirements-alone.txt --output-file requirements-alone.lock

licences: $(VENV)/installed-dev $(VENV)/installed-torch
	$(RUN) tests/licences.py

weights: weights/efficientnet_lite0.safetensors

weights/efficientnet_lite0.safetensors: $(VENV)/installed-torch
	$(RUN) -m stochconv_jax.import_weights efficientnet_lite0

train: venv
	$(RUN) train.py $(CONFIG) --workdir=runs/quickstart
	$(RUN) train.py $(BASE_CONFIG) --workdir=runs/quickstart_base
	@echo; echo "The split network, which sees random windows at full detail:"
	$(RUN) eval.py --workdir=runs/quickstart
	@echo; echo "Its twin, which sees the small image only:"
	$(RUN) eval.py --workdir=runs/quickstart_base
	@echo; echo "Look at runs/quickstart/curves.png and runs/quickstart/eval/report.html,"
	@echo "and at the same files in runs/quickstart_base."

test: $(VENV)/installed-dev $(VENV)/installed-torch
	$(RUN) -m pytest

test-slow: export XLA_FLAGS := --xla_cpu_use_fusion_emitters=true --xla_backend_optimization_level=3
test-slow: export JAX_DISABLE_MOST_OPTIMIZATIONS := false
test-slow: $(VENV)/installed-dev $(VENV)/installed-torch
	$(RUN) -m pytest tests/slow --override-ini=addopts=

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

benchmarks: $(VENV)/installed-dev $(VENV)/installed-torch
	$(RUN) -m benchmarks.stochastic_conv
	$(RUN) -m benchmarks.depthwise_conv
	$(RUN) -m benchmarks.dense_conv
	$(RUN) -m benchmarks.parity
	$(RUN) -m benchmarks.train_step
	$(RUN) -m benchmarks.profile_step
	$(RUN) -m benchmarks.sampling
	$(RUN) -m benchmarks.prediction
	$(RUN) -m benchmarks.input_pipeline
	$(RUN) -m benchmarks.collectives

# Half an hour on two cores. A full disk is tried by root alone, jumping clocks with Debian's faketime.
faults: venv
	$(RUN) -m benchmarks.faults
