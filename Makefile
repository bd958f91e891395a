# `make demo` and `make test` are enough on a fresh clone: each makes .venv first, once.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test bench fuzz soak lint format clean

demo: $(READY)
	$(BIN)/linker demo

test: $(READY)
	$(BIN)/pytest -q -n 2

bench: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --group bench
	$(BIN)/python benchmarks/bench.py

fuzz: $(READY)
	$(BIN)/python benchmarks/fuzz.py $(FUZZ)

soak: $(READY)
	$(BIN)/python benchmarks/soak.py $(SOAK)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade --constraint constraints.txt 'pip>=25.1'
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[fast]' --group dev
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
