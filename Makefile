# make train    .venv and the tested versions where they are missing, then the default experiment
# make test     the suite, on two cores (make lint: ruff and mypy)
# make test-whole   the suite with every case of its matrices, of which `make test` takes a sample
# make test-kernels      the numeric tests with the kernels of other processors and in random order (SEED=... repeats an order)
# make test-hydra        tests of configs and sweeps with the newest Hydra, pre-releases too, in an environment of its own
# make results ROW=...   one line of docs/results.md, from the metrics.json of its runs
# make families          docs/families.md, from the presets
# TORCH=cpu|cuda|SPEC decides which torch is installed, e.g. TORCH=torch==2.13.0+cu130; without it the machine decides.

SHELL := /bin/bash
PYTHON := .venv/bin/python
INSTALLED := .venv/installed

# The file says which torch was taken; somebody asks for another one.
ifneq ($(TORCH),)
ifneq ($(TORCH),$(shell cat $(INSTALLED) 2>/dev/null))
.PHONY: $(INSTALLED)
endif
endif

.PHONY: help install train test test-whole test-kernels test-hydra lint format results families clean

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

install: $(INSTALLED)

$(INSTALLED): pyproject.toml requirements/tested.txt requirements/install.sh
	@TORCH="$(TORCH)" bash requirements/install.sh $(INSTALLED)

train: install
	$(PYTHON) train.py

test: install
	$(PYTHON) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test-whole: install
	$(PYTHON) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --matrix=whole

# Other kernels and other numbers of threads sum in other orders. Without tests that start processes, train long or compute nothing, and
# without onnxruntime, which no setting reaches.
NUMERIC := $(PYTHON) -m pytest -q -n 2 -m "not slow and not whole and not sabotage" \
  $(addprefix tests/,parts generation conformance huggingface ner classification completion pretraining translation transduction training export) \
  $(addprefix --ignore=tests/,huggingface/test_begin.py ner/test_builtin.py classification/test_builtin.py export/test_onnx.py)
ORDERED := --dist loadfile --no-loadscope-reorder
SHUFFLED := --dist load --maxschedchunk 1 --shuffle
SEED ?= $(shell echo $$RANDOM)

test-kernels: install
	ATEN_CPU_CAPABILITY=default $(NUMERIC) $(ORDERED)
	ATEN_CPU_CAPABILITY=avx2 $(NUMERIC) $(ORDERED)
	ONEDNN_MAX_CPU_ISA=AVX2 $(NUMERIC) $(ORDERED)
	MKL_CBWR=AVX2 $(NUMERIC) $(ORDERED)
	MKL_CBWR=COMPATIBLE $(NUMERIC) $(ORDERED)
	$(NUMERIC) $(ORDERED) --threads 1
	$(NUMERIC) $(ORDERED) --threads 2
	$(NUMERIC) tests/config $(SHUFFLED) $(SEED)

# The environment has nothing but Hydra; the rest is that of .venv, which comes after it on the path.
HYDRA := build/hydra

test-hydra: install
	$(PYTHON) -m venv --clear $(HYDRA)
	$(HYDRA)/bin/python -m pip install --quiet --disable-pip-version-check --pre hydra-core
	$(PYTHON) -c 'import site; print(*site.getsitepackages(), sep="\n")' > "$$(echo $(HYDRA)/lib/python*/site-packages)/borrowed.pth"
	$(HYDRA)/bin/python -m pytest -q -m "hydra and not whole" tests/config tests/integration

lint: install
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

format: install
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

results: install
	$(PYTHON) benchmarks/results.py $(if $(ROW),ROW=$(ROW)) $(if $(DATA),DATA=$(DATA)) $(if $(RUN),RUN=$(RUN)) $(if $(MODEL),MODEL=$(MODEL)) $(if $(FROM),FROM=$(FROM))

families: install
	$(PYTHON) benchmarks/families.py

# Runs are kept: they are somebody's work.
clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find framework plugins tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
