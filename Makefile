# `make help` lists the targets. Targets that need .venv make it first, so a fresh clone needs nothing but Python and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
GOAL = $(or $(firstword $(MAKECMDGOALS)),help)
UNIT := tests/test_package.py tests/test_named_paths.py tests/model tests/sources tests/batch tests/api tests/retry

# Tests start the command hundreds of times; without its byte code, each start compiles all modules again (0.3 s of CPU).
unexport PYTHONDONTWRITEBYTECODE
# A newcomer's first lines are about linker, not about pip: -qq shows its errors only.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The versions that pyproject.toml admits: the first one, and the newest of each minor version.
AIOHTTP := ==3.12.0 ==3.12.* ==3.13.* '>=3.14,<4'

NODE := build/conformance
PRISM_VERSION := 5.16.0

.PHONY: help demo test unit slow aiohttp coverage conformance bench budget fuzz roundtrip soak lint format docs serve package lock clean
.PHONY: outputs recording FORCE

help: ## List the targets
	@echo 'Usage: make TARGET. To use another Python: make PYTHON=python3.12 TARGET.'
	@echo
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' Makefile | while read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

demo: $(READY) ## Show a migration on the sandbox
	$(BIN)/linker demo

test: $(READY) ## Run the tests, but for the slowest (about ten minutes)
	$(BIN)/pytest -q -n 2 -m 'not slow'

slow: $(READY) ## Run the slowest tests, which `make test` leaves out (about a minute)
	$(BIN)/pytest -q -n 2 -m slow

aiohttp: $(READY) ## Run the tests of the sessions with each version of aiohttp (about a minute)
	rm -rf build/aiohttp
	set -e; for version in $(AIOHTTP); do \
	    folder="build/aiohttp/$$version"; \
	    $(BIN)/pip install -qq --no-deps --target "$$folder" "aiohttp$$version"; \
	    PYTHONPATH="$$folder" $(BIN)/python -c 'import aiohttp; print("aiohttp", aiohttp.__version__)'; \
	    PYTHONPATH="$$folder" $(BIN)/pytest -q tests/sessions; \
	done

unit: $(READY) ## Run the tests that need no server (about 25 seconds)
	$(BIN)/pytest -q -n 2 $(UNIT)

coverage: $(READY) ## Run all tests and show which branches none of them takes
	rm -rf build/coverage
	$(BIN)/coverage run -m pytest -q -n 2; tests=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report && exit $$tests

conformance: $(READY) $(NODE)/prism-$(PRISM_VERSION) ## Check against the vendor's API description (needs npm)
	PRISM=$(CURDIR)/$(NODE)/node_modules/.bin/prism $(BIN)/pytest -q -rs tests/conformance

bench: $(READY) ## Compare the speed with what people write instead
	$(BIN)/pip install -qq --constraint constraints.txt --group bench
	$(BIN)/python benchmarks/bench.py

budget: $(READY) ## Show where the time of a request goes, stage by stage
	$(BIN)/pip install -qq --constraint constraints.txt --group bench
	$(BIN)/python benchmarks/budget.py

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

docs: $(READY) ## Build the documentation site in build/site
	@$(BIN)/pip install -qq --constraint constraints.txt --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python tools/offline.py build/site

serve: $(READY) ## Show the documentation site on this machine, and follow changes
	@$(BIN)/pip install -qq --constraint constraints.txt --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --strict

outputs: $(READY) ## Run the commands of README and docs, and write what they print into the pages
	$(BIN)/python tools/update_outputs.py $(PAGES)

recording: $(READY) ## Record linker on a terminal: docs/recording.svg
	$(BIN)/python tools/recording.py docs/recording.svg

package: $(READY) ## Build wheel and sdist, install each in a clean environment, and run the demo there
	@$(BIN)/pip install -qq --constraint constraints.txt --group package
	rm -rf build/package
	$(BIN)/python -m build --no-isolation --outdir build/package . > build/package.log || { cat build/package.log; exit 1; }
	$(BIN)/python tools/try_package.py build/package/*.whl build/package/*.tar.gz

lock: ## Write the newest versions that pyproject.toml allows to constraints.txt
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/pip install -qq --upgrade 'pip>=25.1'
	build/lock/bin/pip install -qq --editable '.[fast]' --group dev --group bench --group docs --group package
	build/lock/bin/pip list --format=freeze --exclude pip --exclude aha-linker > build/lock/list
	LC_ALL=C sort -f build/lock/list > constraints.txt
	rm -rf build/lock

clean: ## Remove the environment, caches and build files
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(NODE)/prism-$(PRISM_VERSION):
	rm -rf $(NODE)
	npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix $(NODE) @stoplight/prism-cli@$(PRISM_VERSION)
	touch $@

# .venv/.ready exists while the environment is finished. It counts only if the interpreter starts and the scripts find it:
# Python may have been upgraded or removed, or the folder moved, since.
USABLE := test -e $(READY) && $(BIN)/python -c '' 2>/dev/null && test -x "$$(sed -n '1s/^\#!//p' $(BIN)/pip)"
ifneq ($(wildcard $(READY)),)
ifneq ($(shell $(USABLE) && echo yes),yes)
$(READY): FORCE
endif
endif

define ENVIRONMENT
set -eu
refuse() {
    echo "make: $$1" >&2
    for other in python3.14 python3.13 python3.12 python3.11; do
        if $$other -c '' 2>/dev/null; then
            echo "      $$other is installed here. Run: make PYTHON=$$other $(GOAL)" >&2
            exit 1
        fi
    done
    echo "      Install Python 3.11 or later, then name it, for example: make PYTHON=python3.12 $(GOAL)" >&2
    exit 1
}
if $(USABLE); then
    echo "Updating .venv to the versions in constraints.txt."
    rm -f $(READY)
else
    found=$$($(PYTHON) --version 2>&1) || refuse "linker needs Python 3.11 or later, but $(PYTHON) is not installed or does not start."
    case $$found in
        "Python 3.1"[1-9]* | "Python 3."[2-9][0-9]*) ;;
        *) refuse "linker needs Python 3.11 or later, but $(PYTHON) is $$found." ;;
    esac
    $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || {
        echo "make: $(PYTHON) cannot make an environment, because its module venv or ensurepip is missing." >&2
        echo "      On Debian and Ubuntu, run: sudo apt install python3-venv && make $(GOAL)" >&2
        exit 1
    }
    echo "Making .venv with $$found. This takes about a minute, once."
    rm -f $(READY)
    $(PYTHON) -m venv --clear .venv
fi
$(BIN)/pip install -qq --upgrade --constraint constraints.txt 'pip>=25.1'
$(BIN)/pip install -qq --constraint constraints.txt --editable '.[fast]' --group dev
touch $(READY)
endef
export ENVIRONMENT

$(READY): pyproject.toml constraints.txt
	@sh -c "$$ENVIRONMENT"
