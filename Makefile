# Six verbs, thin over bin/gantry, which makes .venv and all that is in it.
.PHONY: start check format test lock clean

BIN = .venv/bin

start: ## serve on 127.0.0.1:8000
	bin/gantry start

check: ## every check, as CI runs them
	bin/gantry validate

format: ## rewrite Python and templates in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/djlint --reformat --quiet templates

test: ## the tests alone; T=tests/core picks some
	$(BIN)/pytest -n 2 $(T)

lock: ## pin what requirements*.in ask for, with hashes; U=--upgrade takes the newest
	$(BIN)/uv pip compile $(LOCK) requirements.in -o requirements.txt
	$(BIN)/uv pip compile $(LOCK) requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile $(LOCK) --no-deps requirements-model.in -o requirements-model.txt

clean: ## what can be made again; never .env or data
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

LOCK = --universal --generate-hashes --quiet --python-version 3.11 $(U)
