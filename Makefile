# Two commands matter: `make lab` to learn, `make test` to check. `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
LANDING := /lab/tree/chapters/README.md
# JupyterLab renders Markdown (the landing page is Markdown) and asks about no news or updates.
SETTINGS := {"@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}}, \
  "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}

.DEFAULT_GOAL := help
.PHONY: help env lab test quick lint sync

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: .venv/.ready ## build .venv from requirements.lock (the other commands do it by themselves)

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ". Say which one: make PYTHON=python3.12 …")'
	@echo "Building .venv: a few minutes, once."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# Threads of torch spin while they wait for each other. Long spins make small networks up to 1.3 times as fast on an idle
# machine, and up to 12 times as slow beside one other busy program: where we cannot know, they are short.
lab quick: export GOMP_SPINCOUNT ?= 2000

lab: env ## open JupyterLab on the list of chapters (more options: make lab ARGS="--no-browser --port 9000")
	@mkdir -p .venv/share/jupyter/lab/settings
	@echo '$(SETTINGS)' > .venv/share/jupyter/lab/settings/overrides.json
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter lab --ip=127.0.0.1 --LabApp.default_url='$(LANDING)' $(ARGS)

test: quick ## everything that CI runs (more draws of the inputs of each check: make test SEEDS=5)
	$(BIN)/python -m pytest -m lesson

# Two processes with one thread each: with two threads each they would be slower than one after the other.
quick: lint ## the same without executing lessons
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not lesson" -n 2 --dist worksteal

lint: env ## style and simple mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

sync: env ## for authors: text to notebook, wherever something changed
	$(BIN)/course sync
