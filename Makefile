# Everything a fresh machine needs: each target makes .venv first, from pyproject.toml and constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Many tests wait for processes of their own, so two at a time cost little more than one. More would want memory.
PYTEST := $(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4 --dist=worksteal

.PHONY: help demo test test-slow search lint bench default-model format clean

help:
	@echo "make demo       a sample scene, the default model, maps to look at"
	@echo "make test       the tests"
	@echo "make test-slow  the tests that take minutes"
	@echo "make search     the tests whose examples are drawn, with new examples each time"
	@echo "make lint       format, lint and types"
	@echo "make bench      the benchmarks of docs/benchmarks.md"
	@echo "make default-model  trains the default model from ImageNet on, in hours"

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

demo: $(READY)
	@mkdir -p demo
	@test -f demo/town.tif || $(BIN)/geounet sample demo/town.tif
	@$(BIN)/geounet infer demo/town.tif --min-area 10 --overwrite
	@echo
	@echo "Look at demo/town_geounet/report.html in a browser, or demo/town_geounet/preview.png."
	@echo "Open landuse.tif and landuse.geojson there in QGIS; the truth lies beside demo/town.tif."

test: $(READY)
	$(PYTEST)

test-slow: $(READY)
	$(PYTEST) -m slow

search: $(READY)
	$(PYTEST) -m hypothesis --hypothesis-profile=search

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

default-model: $(READY)
	$(BIN)/geounet train configs/train/landuse-roads-first.yaml -o trained/first --threads 1
	$(BIN)/geounet train configs/train/landuse-roads.yaml -o trained --threads 1

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	$(BIN)/python -m tests.benchmarks

clean:
	rm -rf $(VENV) demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
