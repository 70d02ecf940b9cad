# Two commands matter: `make run` (the quick start) and `make test`. Each sets itself up:
# a virtual environment in .venv with the versions of constraints.txt. `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SCENARIO ?= quickstart
WORKERS ?= 2
BESIDE := --numprocesses $(WORKERS) --dist loadfile

.PHONY: help run test check lint types contracts format doctor classics clean
.DEFAULT_GOAL := help

help:
	@echo 'make run      run the quick start (SCENARIO=lone for another scenario)'
	@echo 'make test     run the tests (two files at a time, those that measure last; WORKERS=1: one by one)'
	@echo 'make check    lint, types, import contracts and tests: what CI runs'
	@echo 'make doctor   what this machine can do'
	@echo 'make classics the published models again, each number beside print (minutes)'
	@echo 'make format   format the code'
	@echo 'make clean    remove the virtual environment (runs/ is kept)'

run: $(VENV)/.installed
	$(BIN)/community run $(SCENARIO)

doctor: $(VENV)/.installed
	$(BIN)/community doctor

classics: $(VENV)/.installed
	$(BIN)/community classic

test: $(VENV)/.installed-dev
ifeq ($(WORKERS),1)
	$(BIN)/python -m pytest
else
	$(BIN)/python -m pytest $(BESIDE) -m 'not slow and not alone and not paired'
	$(BIN)/python -m pytest $(BESIDE) -m 'paired and not slow'
	$(BIN)/python -m pytest -m 'alone and not slow'
endif

check: lint types contracts test

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

contracts: $(VENV)/.installed-dev
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV)

$(BIN)/python:
	@PYTHON='$(PYTHON)' VENV='$(VENV)' sh tools/make_venv.sh

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	@echo 'Installing research-community (once; torch is the large part) ...'
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo 'Installing the development tools (once) ...'
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@
