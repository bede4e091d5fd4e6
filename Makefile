# Thin over the `metalock` command line, which works without make too: `metalock --help`.
# PLATFORM and ENV select: make env PLATFORM=osx-arm64, make list ENV=tf2.18-py3.11.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
METALOCK := $(VENV)/bin/metalock
select = $(if $(PLATFORM),--platform $(PLATFORM)) $(if $(ENV),--env $(ENV))

.DEFAULT_GOAL := help
.PHONY: help env check list build audit verify verify-all grids table answers diff test test-network test-environment \
  lint fuzz format bench lock-tools clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(STAMP) ## lock the matrix into envs/ (PLATFORM=, ENV=)
	@$(METALOCK) env $(select)

check: $(STAMP) ## is the matrix still true, of its locks and of the index? (PLATFORM=, ENV=)
	@$(METALOCK) check $(select)

list: $(STAMP) ## what the matrix offers (PLATFORM=, ENV=)
	@$(METALOCK) list $(select)

build: $(STAMP) ## make ENV= on this machine from its lock, in .envs/, and check it (PLATFORM=, PREFIX=)
	@$(METALOCK) build $(ENV) $(if $(PLATFORM),--platform $(PLATFORM)) $(if $(PREFIX),--prefix $(PREFIX))

audit: $(STAMP) ## can the locked environments load? reads their wheels (PLATFORM=, ENV=)
	@$(METALOCK) audit $(select)

verify: $(STAMP) ## build locked environments here, try what works, record it (PLATFORM=, ENV=)
	@$(METALOCK) verify $(select) $(VERIFY)

verify-all: $(STAMP) ## the same for the whole matrix of this machine's platform, two side by side
	@$(METALOCK) verify --jobs 2 $(VERIFY)

grids: $(STAMP) ## every TensorFlow against every plugin: writes docs/compatibility/
	@for pair in tensorflow-metal.osx-arm64 tensorflow-io.osx-arm64 tensorflow-metal.osx-64 tensorflow-io.linux-64; do \
	  $(METALOCK) audit --grid $${pair%%.*} --platform $${pair##*.} --output docs/compatibility/$$pair.md || exit $$?; \
	done
	@for plugin in tensorflow-metal tensorflow-io; do $(METALOCK) audit --grid $$plugin --platform osx-arm64 --json \
	  --output docs/compatibility/$$plugin.osx-arm64.json || exit $$?; done

table: $(STAMP) ## write the table of README.md anew
	@$(METALOCK) list --update README.md

answers: $(STAMP) ## write docs/answers.md anew: what works in which version
	@$(METALOCK) answers --update docs/answers.md

diff: $(STAMP) ## what changed in the locks since a git revision (BASE=HEAD)
	@$(METALOCK) diff $(or $(BASE),HEAD)

test: lint ## lint, types and every test that needs no index; with CI=true a real environment too
	@$(VENV)/bin/pytest -q $(if $(CI),-m "not network")

lint: $(STAMP) ## ruff and mypy
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy

test-network: $(STAMP) ## the tests that read real wheels from the index; some GB
	@$(VENV)/bin/pytest -q -m network

test-environment: $(STAMP) ## build a real environment on a channel of its own and try it; 1 GB (ENV=)
	@METALOCK_ENVIRONMENTS="$(ENV)" $(VENV)/bin/pytest -q -m environment

fuzz: $(STAMP) ## the binary readers against random input (SECONDS=180)
	@$(VENV)/bin/python tests/fuzz/fuzz_readers.py --seconds $(or $(SECONDS),180)

format: $(STAMP) ## let ruff write what it can
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

bench: $(STAMP) ## measure; prints a table and writes benchmarks/results.json
	@$(VENV)/bin/python benchmarks/run.py

lock-tools: $(STAMP) ## resolve requirements-dev.txt anew from pyproject.toml
	@$(VENV)/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-config --no-annotate --quiet --custom-compile-command "make lock-tools" --output-file requirements-dev.txt

clean: ## remove what make made; envs/ stays
	@rm -rf $(VENV) dist exports .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("metalock needs Python 3.11 or later, and $(PYTHON) is %d.%d: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.txt
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
