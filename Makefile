# Short forms of `metalock` commands, which can be used without make: `metalock --help`.
# PLATFORM and ENV select environments: make env PLATFORM=osx-arm64, make list ENV=tf2.18-py3.11.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
METALOCK := $(VENV)/bin/metalock
select = $(if $(PLATFORM),--platform $(PLATFORM)) $(if $(ENV),--env $(ENV))

.DEFAULT_GOAL := help
.PHONY: help env check list build audit verify verify-all grids table answers diff test test-network \
  test-environment lint fuzz format bench mutants lock-tools clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(STAMP) ## lock the matrix into envs/ (PLATFORM=, ENV=)
	@$(METALOCK) env $(select)

check: $(STAMP) ## check matrix.toml against envs/ and the index
	@$(METALOCK) check $(select)

list: $(STAMP) ## list the environments of the matrix (PLATFORM=, ENV=)
	@$(METALOCK) list $(select)

build: $(STAMP) ## build ENV= on this machine, in .envs/ or in PREFIX=
	@$(METALOCK) build $(ENV) $(if $(PLATFORM),--platform $(PLATFORM)) $(if $(PREFIX),--prefix $(PREFIX))

audit: $(STAMP) ## check the wheels of the locks without running them
	@$(METALOCK) audit $(select)

verify: $(STAMP) ## build environments, try them, save evidence (ENV=)
	@$(METALOCK) verify $(select) $(VERIFY)

verify-all: $(STAMP) ## verify all environments of this platform, two at a time
	@$(METALOCK) verify --jobs 2 $(VERIFY)

grids: $(STAMP) ## compare every TensorFlow with every plugin
	@for pair in tensorflow-metal.osx-arm64 tensorflow-io.osx-arm64 tensorflow-metal.osx-64 tensorflow-io.linux-64; do \
	  $(METALOCK) audit --grid $${pair%%.*} --platform $${pair##*.} --output docs/compatibility/$$pair.md || exit $$?; \
	done
	@for plugin in tensorflow-metal tensorflow-io; do $(METALOCK) audit --grid $$plugin --platform osx-arm64 --json \
	  --output docs/compatibility/$$plugin.osx-arm64.json || exit $$?; done

table: $(STAMP) ## update the table of README.md
	@$(METALOCK) list --update README.md

answers: $(STAMP) ## update docs/answers.md
	@$(METALOCK) answers --update docs/answers.md

diff: $(STAMP) ## show changes of the locks since a git revision (BASE=)
	@$(METALOCK) diff $(or $(BASE),HEAD)

test: lint ## lint, types, tests without an index (CI=true: all)
	@$(VENV)/bin/coverage run -m pytest -q tests/unit
	@$(VENV)/bin/coverage report
	@$(VENV)/bin/pytest -q --ignore tests/unit $(if $(CI),-m "not network")

lint: $(STAMP) ## run ruff and mypy
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy

test-network: $(STAMP) ## run the tests that read real wheels; several GB
	@$(VENV)/bin/pytest -q -m network

test-environment: $(STAMP) ## build and try a real environment; 1 GB (ENV=)
	@METALOCK_ENVIRONMENTS="$(ENV)" $(VENV)/bin/pytest -q -m environment

fuzz: $(STAMP) ## give the binary readers random input (SECONDS=180)
	@$(VENV)/bin/python tests/fuzz/fuzz_readers.py --seconds $(or $(SECONDS),180)

format: $(STAMP) ## let ruff fix and format the code
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

bench: $(STAMP) ## run the benchmarks; needs an index
	@$(VENV)/bin/python benchmarks/run.py

mutants: $(STAMP) ## list faults that no unit test finds; up to 1 h (MUTANTS=)
	@$(VENV)/bin/python benchmarks/mutation.py $(MUTANTS)

lock-tools: $(STAMP) ## update requirements-dev.txt from pyproject.toml
	@$(VENV)/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-config --no-annotate --quiet --custom-compile-command "make lock-tools" --output-file requirements-dev.txt

clean: ## remove what make made; envs/ stays
	@rm -rf $(VENV) dist exports .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage

# What the interpreter reports of itself; nothing if it is not one.
version = $(shell $(PYTHON) -c 'import sys; v = sys.version_info; print("%d.%d %s" % (v[0], v[1], v >= (3, 11)))' 2>/dev/null)
unfit = metalock needs Python 3.11 or later, but $(PYTHON) is $(if $(version),Python $(firstword $(version)),not a Python \
  interpreter). Name another one: make PYTHON=python3.12

$(STAMP): requirements-dev.txt pyproject.toml
	$(if $(filter True,$(version)),,$(error $(unfit)))
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.txt
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
