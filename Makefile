# `make help` lists the targets. Those that need .venv make it first, so a fresh clone needs nothing else.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
UNIT := tests/test_package.py tests/test_named_paths.py tests/model tests/sources tests/batch tests/api tests/retry

# Tests start the command hundreds of times; without its byte code, each start compiles all modules again (0.3 s of CPU).
unexport PYTHONDONTWRITEBYTECODE

NODE := build/conformance
PRISM_VERSION := 5.16.0

.PHONY: help demo test unit slow coverage conformance bench fuzz roundtrip soak lint format lock clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' Makefile | while read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

demo: $(READY) ## Show a migration on the sandbox
	$(BIN)/linker demo

test: $(READY) ## Run the tests, but for the slowest (about ten minutes)
	$(BIN)/pytest -q -n 2 -m 'not slow'

slow: $(READY) ## Run the slowest tests, which `make test` leaves out (about a minute)
	$(BIN)/pytest -q -n 2 -m slow

unit: $(READY) ## Run the tests that need no server (about 25 seconds)
	$(BIN)/pytest -q -n 2 $(UNIT)

coverage: $(READY) ## Run all tests and show which branches none of them takes
	rm -rf build/coverage
	$(BIN)/coverage run -m pytest -q -n 2; tests=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report && exit $$tests

conformance: $(READY) $(NODE)/prism-$(PRISM_VERSION) ## Check against the vendor's API description (needs npm)
	PRISM=$(CURDIR)/$(NODE)/node_modules/.bin/prism $(BIN)/pytest -q -rs tests/conformance

bench: $(READY) ## Compare the speed with what people write instead
	$(BIN)/pip install --quiet --constraint constraints.txt --group bench
	$(BIN)/python benchmarks/bench.py

fuzz: $(READY) ## Send a million hostile inputs, for example FUZZ="--seed 2 --surface tables"
	$(BIN)/python benchmarks/fuzz.py $(FUZZ)

roundtrip: $(READY) ## Run ten thousand random batches there and back (about seven minutes)
	ROUND_TRIP_EXAMPLES=3000 $(BIN)/pytest -q -n 2 --timeout 3000 tests/reliability/test_round_trip.py

soak: $(READY) ## Kill and disturb runs for ten minutes, for example SOAK="--seconds 60"
	$(BIN)/python benchmarks/soak.py $(SOAK)

lint: $(READY) ## Check style (ruff) and types (mypy --strict)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Write the newest versions that pyproject.toml allows to constraints.txt
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/pip install --quiet --upgrade 'pip>=25.1'
	build/lock/bin/pip install --quiet --editable '.[fast]' --group dev --group bench
	build/lock/bin/pip list --format=freeze --exclude pip --exclude setuptools --exclude aha-linker > build/lock/list
	LC_ALL=C sort -f build/lock/list > constraints.txt
	rm -rf build/lock

clean: ## Remove the environment, caches and build files
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(NODE)/prism-$(PRISM_VERSION):
	rm -rf $(NODE)
	npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix $(NODE) @stoplight/prism-cli@$(PRISM_VERSION)
	touch $@

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade --constraint constraints.txt 'pip>=25.1'
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[fast]' --group dev
	touch $@
