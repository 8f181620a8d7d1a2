# Thin: every target is an npm script. `make help` lists them.
.PHONY: help install build test test-unit lint lint-ci coverage ci clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

install: ## npm packages, exactly as locked
	npm ci

build: ## dist/
	npm run build

test: ## all tests, on a real Redis and a real Docker; sets up what is missing
	npm test

test-unit: ## the tests that need neither
	npm run test:unit

lint: ## code and protocol
	npm run lint

lint-ci: ## the same with types and formatting, changing nothing
	npm run lint:ci

coverage: ## all tests, with the lines they reach
	npm run coverage

ci: ## everything that must pass
	.ci/run

clean: ## remove what the build made
	npm run clean
