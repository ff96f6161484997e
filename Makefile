# make train    .venv and the tested versions where they are missing, then the default experiment
# make test     the whole suite, on two cores (make lint: ruff and mypy)
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

.PHONY: help install train test lint format results families clean

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

install: $(INSTALLED)

$(INSTALLED): pyproject.toml requirements/tested.txt requirements/install.sh
	@TORCH="$(TORCH)" bash requirements/install.sh $(INSTALLED)

train: install
	$(PYTHON) train.py

test: install
	$(PYTHON) -m pytest -q -n 2 --dist loadfile

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
