# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test lint clean

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# Segments the bundled images with the bundled model and scores the result.
demo: $(VENV)/installed
	$(BIN)/delineate predict src/delineate/examples/nuclei/images -o demo-output --overwrite
	$(BIN)/delineate evaluate demo-output src/delineate/examples/nuclei/labels
	@echo "Open demo-output/report.html in a browser."

test: lint
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) demo-output build dist
