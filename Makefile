# The front door. `make` alone lists what it can do; every target first makes the environment it needs.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The stamp holds the folder that .venv was made for. Moved, copied, or its Python gone: the environment is made again.
BIN := .venv/bin
READY := .venv/.ready
ifneq "$(shell test -x $(BIN)/python && cat $(READY) 2>/dev/null)" "$(CURDIR)"
.PHONY: $(READY)
endif
$(READY): pyproject.toml constraints.txt
	@tools/setup
	@pwd -P > $@

# Where this is set, PyMC and its kin are compiled anew at every start: 15 s instead of 5.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test test-slow lint lengths format models docs smoke notebooks bench bench-rfm bench-value bench-backtest bench-batch bench-spark constraints clean distclean

help: ## this list
	@if test -t 1; then on='\033[1m' off='\033[0m'; fi; awk -F ':.*## ' -v on="$$on" -v off="$$off" \
		'/^[a-z-]+:.*## / { printf "  %smake %-14s%s%s\n", on, $$1, off, $$2 }' Makefile

setup: $(READY) ## the environment alone: .venv, from pyproject.toml and constraints.txt

demo: $(READY) ## CDNOW from end to end, with a report (OUT=folder)
	@$(BIN)/lifeworth demo $(if $(OUT),--out "$(OUT)")

# A file stays with one worker, since its tests share what they fitted and compiled. (ARGS="-n0 --pdb" to debug.)
test: $(READY) ## the tests, but for the slow ones (ARGS="-k rfm")
	@$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile $(ARGS)

test-slow: $(READY) ## the slow tests alone
	@$(BIN)/python -m pytest -m slow $(ARGS)

lint: $(READY) ## style, formatting, types, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

lengths: $(READY) ## long functions and files, for whoever wants to shorten them
	@$(BIN)/python tools/lengths.py

format: $(READY) ## put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

models: $(READY) ## fit again the model that ships, models/cdnow/1
	$(BIN)/python tools/models.py

docs: $(READY) ## the documentation, into docs/_build/html; warnings are errors
	@$(BIN)/python -m sphinx -b html -W --keep-going -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

smoke: $(READY) ## build the wheel, install it alone in an empty environment, and fit with it
	@tools/smoke

notebooks: $(READY) ## run the notebooks again, outputs and all (ARGS="rfm posterior")
	@$(BIN)/python tools/notebooks.py $(ARGS)

bench: $(READY) ## the benchmarks, rivals in the same run
	@$(BIN)/python -m benchmarks $(ARGS)

bench-rfm: $(READY) ## RFM extraction beside Polars, DuckDB and pymc-marketing (ARGS="--rows 50000000 --kinds numbers")
	@$(BIN)/python -m benchmarks.extraction $(ARGS)

bench-value: $(READY) ## predictions and value beside pymc-marketing (ARGS="--customers 1000000")
	@$(BIN)/python -m benchmarks.value $(ARGS)

bench-batch: $(READY) ## a large job, the start of scoring, a night (ARGS="job --share 1": the whole of it)
	@$(BIN)/python -m benchmarks.batch $(ARGS)

bench-spark: $(READY) ## how time on Spark grows with rows and cores
	@$(BIN)/python -m benchmarks.spark $(ARGS)

bench-backtest: $(READY) ## a backtest of CDNOW: 10 cut-offs, 4 models, 6 baselines (ARGS="--customers 1000000")
	@$(BIN)/python -m benchmarks.backtest $(ARGS)

# Universal, so that one list serves 3.12 and 3.13 on every platform; the markers go, since a pin alone asks for nothing.
constraints: ## choose the pinned versions again (ARGS=--upgrade: the newest that fit)
	@tools/uv pip compile --quiet --universal --python-version 3.12 --all-extras --group dev \
		--no-header --no-annotate $(ARGS) -o constraints.txt pyproject.toml
	@sed -i.old 's/ *;.*//' constraints.txt && rm constraints.txt.old
	@twice=$$(cut -d= -f1 constraints.txt | uniq -d); test -z "$$twice" || { echo "two versions of $$twice"; exit 1; }

clean: ## remove what the other targets made, but the environment
	rm -rf build dist docs/_build docs/notebooks docs/reference/generated docs/reference/api lifeworth-demo .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . \( -path ./.venv -o -path ./.tools \) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove the environment too
	rm -rf .venv .tools
