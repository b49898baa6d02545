# Every target sets up what it needs on first use: a virtual environment with the locked versions.
PYTHON ?= python3
ARGS ?=
VENV := .venv
READY := $(VENV)/.ready
# The suite of conformance runs under this alpaca-py too, beside the one that is locked.
OLDER_SDK := 0.43.5
OLDER_READY := $(VENV)/sdk/$(OLDER_SDK)/.ready

.PHONY: demo test check bench conformance conformance-paper reference lock clean

demo: $(READY)
	@$(VENV)/bin/backbone demo $(ARGS)

# A file's tests stay with one of two workers, so what a file starts is started once.
test: $(READY) $(OLDER_READY)
	@$(VENV)/bin/python -m pytest -n 2 --dist loadfile $(ARGS)

check: $(READY)
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/python -m pytest -q -p no:cacheprovider tests/test_house.py

bench: $(READY)
	@$(VENV)/bin/python -m benchmarks $(ARGS)

# The simulator against what is documented and recorded of Alpaca; ARGS="--record-to build/sim" keeps what was said.
conformance: $(READY) $(OLDER_READY)
	@$(VENV)/bin/python -m pytest tests/conformance $(ARGS)

# The same against Alpaca paper, with ALPACA_API_KEY and ALPACA_SECRET_KEY of a paper account; see docs/conformance.md.
conformance-paper: $(READY)
	@$(VENV)/bin/python -m pytest tests/conformance --conformance-target paper --timeout 900 \
		--record-to tests/conformance/golden $(ARGS)

# docs/reference, generated from the settings, the tables of codes and the messages; a test says when it is stale.
reference: $(READY)
	@$(VENV)/bin/python -m reference_pages

# The lock is made by hand, when a dependency changes: no target depends on it. What is locked stays as it is;
# `make lock ARGS=--upgrade` takes the newest of everything.
lock: $(READY)
	@$(VENV)/bin/python -m pip install --quiet uv
	@$(VENV)/bin/uv pip compile --universal --python-version 3.11 --extra dev --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --quiet $(ARGS) pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/it" >&2; exit 2; }
	@echo "Setting up $(VENV) (once; about a minute) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock >&2
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable . >&2
	@touch $(READY)

$(OLDER_READY): | $(READY)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
		--target $(@D) alpaca-py==$(OLDER_SDK) >&2
	@touch $@
