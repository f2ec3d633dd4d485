# Everything that a newcomer needs: `make demo` and `make test`. Each fetches what it lacks.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
TOOLS := $(CURDIR)/.tools
export PATH := $(TOOLS)/bin:$(TOOLS)/venv/bin:$(PATH)

CARGO_DENY_VERSION := 0.20.2
NEXTEST_VERSION := 0.9

.PHONY: help bench build demo redis test format lint doc deny unit suite clean

help: ## Show what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

build: cargo ## Build the release binaries
	cargo build --release --workspace

demo: build redis ## From nothing to named journeys: a generated population through real processes
	target/release/sojourn demo

redis: $(TOOLS)/server ## Make sure that there is a Redis or Valkey to run

test: cargo format lint doc deny unit suite ## Run all checks and tests

format:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets --locked -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

deny: $(TOOLS)/bin/cargo-deny
	scripts/deny

unit: nextest
	cargo nextest run --workspace --locked --lib --bins

# The same suite against every server that can be had here. Programs and tests are built together:
# apart, cargo would build their dependencies twice, with and without what only tests need.
suite: nextest redis $(TOOLS)/valkey python
	cargo build --workspace --bins --tests --locked
	scripts/suite

.PHONY: cargo nextest python
cargo:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.95 or newer from https://rustup.rs"; exit 1; }

nextest: cargo
	@cargo nextest --version >/dev/null 2>&1 || { echo "installing cargo-nextest"; cargo install --locked --root $(TOOLS) cargo-nextest@$(NEXTEST_VERSION); }

# What reads results from Python, and speaks S3, in tests.
python:
	@scripts/install-python

$(TOOLS)/bin/cargo-deny:
	@command -v cargo-deny >/dev/null || { echo "installing cargo-deny"; cargo install --locked --root $(TOOLS) cargo-deny@$(CARGO_DENY_VERSION); }

$(TOOLS)/server:
	scripts/install-server

$(TOOLS)/valkey:
	scripts/install-valkey

bench: cargo ## Measure speed against named competitors
	cargo bench --workspace --locked

clean: ## Remove everything that was built or fetched
	rm -rf target $(TOOLS)
