# Everything here runs from a bare clone with Python 3.11 or newer, git and make.
# Tools (nox, uv) go into .tools/, environments into .nox/; git ignores both.

NOX_VERSION := 2026.10.20
UV_VERSION := 0.13.8

SHELL := /bin/sh
.DEFAULT_GOAL := help
# `PYTHON=/path/to/python make test` chooses the interpreter.
PYTHON ?=
TOOLS := .tools/ready-nox-$(NOX_VERSION)-uv-$(UV_VERSION)
NOX := .tools/bin/python -m nox
SESSIONS := test lint types imports template examples peers docs packages bench demo release matrix updates

export PATH := $(CURDIR)/.tools/bin:$(PATH)
# What another project's shell may have left behind.
unexport CONDA_PREFIX PIP_USER PYTHONHOME PYTHONPATH VIRTUAL_ENV

.PHONY: help check tools clean $(SESSIONS)

help: ## Show this list
	@echo 'make demo       Render a service, migrate it, run it and show it at work'
	@echo 'make test       Run the tests, with branch coverage'
	@echo 'make lint       Check style and format (ruff) and the changelog fragments'
	@echo 'make types      Check types (pyright, strict) and the types of the public surface'
	@echo 'make imports    Check the direction of imports (import-linter)'
	@echo 'make template   Render services from the template and run their own checks'
	@echo 'make examples   Run the tests of every example'
	@echo 'make peers      Try the library with servers, clients and a browser of others (needs Node, npm and Chromium)'
	@echo 'make docs       Build the documentation, and run the code in it'
	@echo 'make packages   Build, install into clean environments, import every module'
	@echo 'make bench      Run the benchmarks (make bench ARGS=imports for one)'
	@echo 'make release    Check that a release could be made'
	@echo 'make updates    Update services from every release to every later one (nightly)'
	@echo 'make matrix     Run the tests on other Pythons, lowest and newest dependencies'
	@echo 'make check      Run what continuous integration runs'
	@echo 'make clean      Remove tools, environments and what they made'
	@echo
	@echo 'ARGS go to the session: make test ARGS="tests/unit -k clock"'

test: $(TOOLS)
	@$(NOX) -s tests -- $(ARGS)

lint types imports template examples peers docs packages bench demo release matrix updates: $(TOOLS)
	@$(NOX) -s $@ -- $(ARGS)

check: $(TOOLS)
	@.ci/run

tools: $(TOOLS)

# A half-made folder (an interrupted run, another Python) is replaced, not mended.
$(TOOLS):
	@set -e; \
	found=; \
	for candidate in "$(PYTHON)" python3 python3.15 python3.14 python3.13 python3.12 python3.11 python; do \
	  [ -n "$$candidate" ] || continue; \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    found=$$candidate; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo 'Python 3.11 or newer is needed, and none was found on PATH.' >&2; \
	  echo 'Install one, or name it: make PYTHON=/path/to/python3 ...' >&2; \
	  exit 1; \
	fi; \
	rm -rf .tools; \
	echo "Making .tools with $$("$$found" --version): nox $(NOX_VERSION), uv $(UV_VERSION)"; \
	if ! "$$found" -m venv .tools; then \
	  rm -rf .tools; \
	  echo "$$found cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
	  exit 1; \
	fi; \
	.tools/bin/python -m pip install -qq --disable-pip-version-check \
	  'nox==$(NOX_VERSION)' 'uv==$(UV_VERSION)'; \
	touch '$@'

clean:
	rm -rf .tools .nox .coverage .coverage.* build dist docs/_build docs/reference/_generated \
	  .pytest_cache .ruff_cache .import_linter_cache .hypothesis
