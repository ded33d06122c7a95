# Two commands do everything on a machine with make, Python 3.11+ and Java 17 or 21: `make gold` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
WORKERS ?= 2
CORES ?= all
ARGS ?=
BIN := .venv/bin
PYTEST = $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup
SOURCES := src scripts tools tests benchmarks airflow

# The user's own Spark and Python settings have no say here.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV SPARK_HOME SPARK_CONF_DIR PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON

SIZE ?= 1m
DATASET ?= generated-$(SIZE)
REPEATS ?= 3
DATA ?= ../shared/data/ml-latest-small
DATASETS ?= demo
FOLDERS ?=

.PHONY: browser help setup gold silver bronze inspect validate explain reproduce test test-fast lint format docs evaluate-docs lock sql clean
.PHONY: airflow airflow-env airflow-test sweep promote mlflow history bench bench-growth bench-overhead bench-shuffle
.PHONY: bench-implicit ranking-bench ranking-search cluster cluster-stop cluster-test chaos audit

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo '  ARGS adds to a run: make gold ARGS="--config rank=20"; CORES limits it: make gold CORES=2'

setup: ## make the virtual environment and fetch Delta's jars, where they are not there yet
	@$(PYTHON) tools/bootstrap.py

gold silver bronze: setup
gold: ## everything: tables, model, recommendations, metrics, report (demo data unless ARGS say otherwise)
silver: ## the cleaned tables
bronze: ## the CSV files
gold silver bronze:
	@$(BIN)/reco $@ --cores $(CORES) $(ARGS)

sweep: setup ## a sweep: make sweep ARGS="--config rank=10,50 reg_param=0.05,0.1", or ARGS="--configfile FILE"
	@$(BIN)/reco sweep --run --cores $(CORES) $(ARGS)

validate: setup ## check every layer of the lakehouse
	@$(BIN)/reco validate $(ARGS)

inspect: setup ## look at your own files, and print the config that reads them: make inspect DATA=FOLDER
	@$(BIN)/reco inspect "$(DATA)" $(ARGS)

explain: setup ## what a result was made from, and what differs now: make explain ARGS=model
	@$(BIN)/reco explain $(ARGS)

reproduce: setup ## rebuild an earlier run in a scratch folder and compare: make reproduce ARGS=MODEL_VERSION
	@$(BIN)/reco reproduce $(ARGS)

promote: setup ## make a registered model the champion: make promote MODEL_VERSION=6eab05d6-5d7885f9
	@$(BIN)/reco promote $(if $(MODEL_VERSION),"$$MODEL_VERSION") $(ARGS)

mlflow: setup ## open the runs in MLflow's own pages, at http://127.0.0.1:5000
	@mkdir -p results/mlflow
	@MLFLOW_DISABLE_TELEMETRY=true MLFLOW_BACKEND_STORE_URI="sqlite:///results/mlflow/mlflow.db" \
	  MLFLOW_DEFAULT_ARTIFACT_ROOT="$(CURDIR)/results/mlflow/artifacts" \
	  $(BIN)/mlflow server --host 127.0.0.1 --port 5000

history: setup ## Spark's pages on jobs that are over, at http://127.0.0.1:18080: make history LAKEHOUSE=FOLDER
	@$(BIN)/reco history $(ARGS) $(if $(LAKEHOUSE),--config lakehouse="$$LAKEHOUSE")

cluster: setup ## a Spark cluster on this machine, a master and two workers: reco gold --profile profiles/cluster
	@$(BIN)/reco cluster start $(ARGS)

cluster-stop: setup ## end the cluster of this machine
	@$(BIN)/reco cluster stop $(ARGS)

cluster-test: setup ## the pipeline on a cluster of this machine against the same in one process
	@$(PYTEST) -m cluster $(ARGS)

airflow-env: setup # the environment of Airflow, where it is not there yet
	@$(PYTHON) tools/bootstrap.py airflow

airflow: airflow-env ## the pipeline on a schedule: Airflow's scheduler and pages, at http://127.0.0.1:8082
	@$(BIN)/reco airflow serve $(ARGS)

airflow-test: airflow-env ## the tests of the DAG, in a real Airflow
	@$(PYTEST) -m airflow tests/airflow $(ARGS)

test: setup airflow-env ## every test but the long ones of `make chaos`
	@$(PYTEST) -m "not cluster and not airflow and not nightly" $(ARGS); first=$$?; \
	  $(PYTEST) -m "(cluster or airflow) and not nightly" $(ARGS) && exit $$first

chaos: setup ## hostile files, kills at random times, damages and their repair: half an hour (make chaos ARGS="--seed 7")
	@$(PYTEST) -m nightly
	@PYTHONPATH=src:tests $(BIN)/python tests/chaos/campaign.py $(ARGS)

browser: ## Chromium for the tests of the pages, by apt-get (Debian)
	@tools/browser.sh

test-fast: setup ## the quick unit tests, without Spark and Snakemake (about a minute)
	@$(PYTEST) tests/unit \
	  -m "not slow and not spark and not pipeline and not browser and not cluster and not airflow" $(ARGS)

lint: setup ## style, types, layers of the package, and Snakemake's own lint
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/lint_rules.py

audit: setup ## known vulnerabilities of the locked packages, by pip-audit; needs pypi.org or api.osv.dev
	@$(BIN)/python tools/audit.py $(ARGS)

format: setup ## lay the code out
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/snakefmt Snakefile rules

docs: setup ## write the generated files: defaults, schemas, pages of docs
	@$(BIN)/reco docs

evaluate-docs: setup ## the tables of docs/evaluation.md anew: make evaluate-docs DATA=folder/of/ml-latest-small
	@$(BIN)/python tools/evaluate_docs.py --data $(DATA)

sql: setup ## SQL over the tables, by DuckDB; without a query a prompt: make sql ARGS='"SELECT count(*) FROM ratings"'
	@$(BIN)/reco sql $(ARGS)

bench: setup ## beside plain PySpark, LensKit and implicit: make bench SIZE=1m|5m|25m, or DATASET=ml-25m
	@$(BIN)/python benchmarks/run.py --dataset $(DATASET) --repeats $(REPEATS) $(ARGS)

ranking-bench: setup ## rankings by the protocol of Liang et al. 2018: make ranking-bench DATASET=ml-20m, or DATA=FOLDER
	@$(BIN)/python benchmarks/ranking_protocol.py \
	  $(if $(filter file,$(origin DATA)),--dataset $(DATASET),--data "$(DATA)") $(ARGS)

ranking-search: setup ## the search for the ranking defaults on validation folds: DATASETS="demo ..." FOLDERS="folder ..."
	@$(BIN)/python tools/ranking_search.py --datasets $(DATASETS) --folders $(FOLDERS) $(ARGS)

bench-implicit: setup ## implicit ALS beside implicit and pyspark.ml on one objective: make bench-implicit SIZE="5m 25m"
	@$(BIN)/python benchmarks/implicit_kernel.py --sizes $(SIZE) --repeats $(REPEATS) $(ARGS)

bench-growth: setup ## growth with the number of ratings and with rank
	@$(BIN)/python benchmarks/growth.py $(ARGS)

bench-shuffle: setup ## what training by Spark moves between executors, against the formulas of docs/scale.md
	@$(BIN)/python benchmarks/shuffle.py $(ARGS)

bench-overhead: setup ## what receipts and fingerprints cost
	@$(BIN)/python benchmarks/overhead.py $(ARGS)

lock: setup ## pin the packages of envs/*.in anew
	@tools/lock.sh

clean: ## remove the results of one data set, after asking: make clean ARGS="--config dataset=mine"
	@$(BIN)/reco clean $(ARGS)
