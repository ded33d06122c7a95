.DEFAULT_GOAL := help
PYTHON ?= python3
.PHONY: help setup test test-fast lint
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'
.venv/.ready: envs/runtime.txt envs/dev.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -q --require-hashes --no-deps -r envs/runtime.txt -r envs/dev.txt
	.venv/bin/python -c "import pathlib, site; pathlib.Path(site.getsitepackages()[0], 'reco_platform.pth').write_text(str(pathlib.Path('src').resolve()))"
	touch $@
setup: .venv/.ready ## make the virtual environment
test: setup ## every test
	.venv/bin/python -m pytest -q
test-fast: setup ## unit tests without Spark
	.venv/bin/python -m pytest -q -m "not spark and not pipeline"
lint: setup ## style
	.venv/bin/ruff check --select E9,F src scripts tests
