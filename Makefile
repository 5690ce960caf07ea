# Two commands matter: `make lab` to learn, `make test` to check. `make help` lists the rest.
PYTHON ?= python3
# `make test NEWEST=1`: in a second environment, with the newest versions of everything but PyTorch.
VENV := $(if $(NEWEST),.venv-newest,.venv)
BIN := $(VENV)/bin
# `make test CHAPTER=04`, `make quick CHAPTER=04`: only what concerns one chapter.
WHICH := $(or $(CHAPTER),--all)
# `make changed SINCE=HEAD~3`: what the changes since that commit can have broken.
SINCE ?= origin/main
# Opened in work/, the links of the landing page lead to the student's own copies of the chapters.
LANDING := /lab/tree/work/README.md
# JupyterLab renders Markdown (the landing page is Markdown) and asks about no news or updates.
SETTINGS := {"@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}}, \
  "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}

.DEFAULT_GOAL := help
.PHONY: help env instructor lab test quick changed mutants lint sync lock

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: .venv/.ready ## build .venv with what a student needs (the other commands do it by themselves)

.venv/.ready: requirements.lock pyproject.toml install.py
	$(PYTHON) install.py
	@touch $@

instructor: $(VENV)/.test-ready ## add what instructors and tests need: nbgrader, dask, pytest (`make test` does it by itself)

.venv/.test-ready: .venv/.ready requirements-test.lock
	$(PYTHON) install.py --tests
	@touch $@

# What is newest changes by the day: to look again, remove the folder.
.venv-newest/.test-ready: pyproject.toml install.py
	$(PYTHON) install.py --newest
	@touch $@

# Threads of torch spin while they wait for each other. Long spins make small networks up to 1.3 times as fast on an idle
# machine, and up to 12 times as slow beside one other busy program: where we cannot know, they are short.
lab quick: export GOMP_SPINCOUNT ?= 2000

# JupyterLab refuses to run as root otherwise.
lab: AS_ROOT = $(if $(filter 0,$(shell id -u)),--allow-root)
lab: env ## open JupyterLab on the list of chapters (more options: make lab ARGS="--no-browser --port 9000")
	@mkdir -p .venv/share/jupyter/lab/settings
	@echo '$(SETTINGS)' > .venv/share/jupyter/lab/settings/overrides.json
	$(if $(AS_ROOT),@echo "You are root: fine in a container; on a machine of your own run JupyterLab as yourself.")
	@$(BIN)/course start
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter lab --ip=127.0.0.1 --LabApp.default_url='$(LANDING)' $(AS_ROOT) $(ARGS)

test: quick ## everything that CI runs (one chapter: make test CHAPTER=04; more draws of each check: SEEDS=5)
	$(if $(NEWEST),,$(BIN)/course test $(WHICH) --lessons)

quick: lint ## the same without executing lessons
	$(BIN)/course test $(WHICH) --quick

changed: lint ## what the changes since origin/main can have broken (another commit: make changed SINCE=HEAD~3)
	$(BIN)/course test --since $(SINCE)

mutants: .venv/.test-ready ## for authors: mechanical wrong answers that pass a check (one chapter: make mutants CHAPTER=04)
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutants.py $(CHAPTER)

lint: $(VENV)/.test-ready ## style and simple mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

sync: $(VENV)/.test-ready ## for authors: text to notebook, wherever something changed
	$(BIN)/course sync

# Versions of one number for all systems and Pythons; kept where nothing asks for another one (newest: UPGRADE=--upgrade).
COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11.0 --fork-strategy fewest --no-sources \
  --no-python-downloads --no-annotate --custom-compile-command "make lock" --quiet $(UPGRADE)

lock: .venv/.test-ready ## for authors: the locks from pyproject.toml, and whether every promised system can install them
	$(COMPILE) -o requirements.lock
	$(COMPILE) --extra test -c requirements.lock -o requirements-test.lock
	COURSE_RESOLVE=1 $(BIN)/python -m pytest tests/test_environment.py -k resolved
