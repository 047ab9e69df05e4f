# Every target makes .venv itself; all it needs is Python 3.10..3.13, g++ and make.
#   make           what a user needs: .venv with Zebra installed in it (.venv/bin/zebra)
#   make demo      a real face detector on a real photograph; the picture goes to out/demo.png
#   make test      everything CI runs: lint, generated files, sanitizers, tests
#   make test-slow the tests that take minutes
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
NATIVE := $(shell find src include CMakeLists.txt -type f)
CXX_FILES := $(shell find src include tests -name '*.cc' -o -name '*.h')
SANITIZED := build/sanitize

export TOPHUB_LOCATION := NONE

.PHONY: all demo test test-slow lint sanitize pytest bench generate format clean

all: $(VENV)/.installed

$(VENV)/.packages: requirements.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else \
	  f"Zebra runs on Python 3.10 to 3.13; this is {v[0]}.{v[1]}: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -r requirements.txt
	@touch $@

$(VENV)/.tools: $(VENV)/.packages requirements-dev.txt
	$(PIP) install -q -r requirements-dev.txt
	@touch $@

# The Python sources are used where they are (editable); the native libraries and the console
# script go into .venv, again whenever a C++ file or the package's description changes.
$(VENV)/.installed: $(VENV)/.packages pyproject.toml $(NATIVE)
	$(PIP) install -q --no-build-isolation --no-deps -e .
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/python tools/demo.py

test: lint sanitize pytest

lint: $(VENV)/.installed $(VENV)/.tools
	$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg
	$(BIN)/clang-format --dry-run -Werror $(CXX_FILES)
	$(BIN)/python tools/generate.py --check

sanitize: $(VENV)/.installed $(VENV)/.tools
	$(BIN)/cmake -S . -B $(SANITIZED) -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
	  -DZEBRA_SANITIZE=ON -DPython3_EXECUTABLE=$(abspath $(BIN))/python
	$(BIN)/cmake --build $(SANITIZED)
	$(BIN)/ctest --test-dir $(SANITIZED) --output-on-failure

pytest: $(VENV)/.installed $(VENV)/.tools
	$(BIN)/python -m pytest -n 2 --dist worksteal -q

test-slow: $(VENV)/.installed $(VENV)/.tools
	$(BIN)/python -m pytest -n 2 -q -m slow

bench: $(VENV)/.installed $(VENV)/.tools
	$(BIN)/python benchmarks/fsim.py
	$(BIN)/python benchmarks/exactness.py

generate: $(VENV)/.installed
	$(BIN)/python tools/generate.py

format: $(VENV)/.tools
	$(BIN)/ruff check -q --fix .
	$(BIN)/ruff format -q .
	$(BIN)/clang-format -i $(CXX_FILES)

clean:
	rm -rf build out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
