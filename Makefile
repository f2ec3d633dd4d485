# Everything that a newcomer needs: `make demo` and `make test`. Each fetches what it lacks.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
TOOLS := $(CURDIR)/.tools
export PATH := $(TOOLS)/bin:$(TOOLS)/venv/bin:$(PATH)

CARGO_DENY_VERSION := 0.20.2
NEXTEST_VERSION := 0.9.143

# Tools are built once and run for seconds: that they are built fast is what counts.
INSTALL := CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	CARGO_PROFILE_RELEASE_DEBUG=false cargo install --locked --root $(TOOLS)

.PHONY: help bench build growth demo eval names redis test format lint doc deny unit suite soak clean

help: ## Show what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

build: toolchain ## Build the release binaries
	cargo build --release --workspace --locked

demo: build redis ## From nothing to named journeys: a generated population through real processes
	target/release/sojourn demo

redis: $(TOOLS)/server ## Make sure that there is a Redis or Valkey to run

test: components format lint doc deny unit suite ## Run all checks and tests

format:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets --locked -- -D warnings

# With --examples, of which there are none, what tests need counts too: dependencies are then those
# that clippy has checked already, and not checked a second time.
doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --lib --bin sojourn-worker --examples

deny: cargo-deny
	scripts/deny

unit: nextest
	cargo nextest run --workspace --locked --lib --bins

# The same suite against every server that can be had here. Programs and tests are built together:
# apart, cargo would build their dependencies twice, with and without what only tests need.
suite: nextest redis $(TOOLS)/valkey python scoring baselines
	cargo build --workspace --bins --tests --locked
	rm -rf target/faults
	scripts/suite
	@echo "== what was broken, and what came of it:"; cat target/faults/*/*.txt

.PHONY: toolchain components nextest cargo-deny python scoring baselines peers
toolchain:
	@scripts/check-toolchain

components:
	@scripts/check-toolchain test

nextest:
	@cargo nextest --version >/dev/null 2>&1 || { echo "installing cargo-nextest"; $(INSTALL) cargo-nextest@$(NEXTEST_VERSION); }

cargo-deny:
	@cargo deny --version >/dev/null 2>&1 || { echo "installing cargo-deny"; $(INSTALL) cargo-deny@$(CARGO_DENY_VERSION); }

# What reads results from Python, and speaks S3, in tests.
python:
	@scripts/install-python

# What compares names with those of people; a model that names is fetched by `make names` only.
scoring:
	@scripts/names/install

# What speed is compared with.
peers:
	@scripts/bench/install

# Other ways of clustering, which tests compare with ours.
baselines:
	@scripts/journeys/install

$(TOOLS)/server:
	scripts/install-server

$(TOOLS)/valkey:
	scripts/install-valkey

# The programs that the suite has built: what counts is how long they are broken, not how fast they are.
soak: nextest redis ## Break processes, servers and networks for 45 minutes, and print the figures
	cargo build --workspace --bins --tests --locked
	rm -rf target/faults
	status=0; \
	  SOJOURN_SOAK=1 cargo nextest run --workspace --locked --test faults --test queue_model --test naming --no-fail-fast \
	    -E 'not binary(naming) or test(/^ordeal::/)' || status=$$?; \
	  cat target/faults/*/*.txt; exit $$status

# Variables: MODEL, SIZE and others, see scripts/names/run.
DATA ?= ../shared/data
names: build ## Compare names by a model on this machine with those of people: 2 GB, 90 minutes
	scripts/names/run "$(DATA)"

# Variables: MIXES, METHODS and others, see scripts/journeys/run.
eval: build ## Judge journeys by known interests and by real users, beside other ways: an hour
	scripts/journeys/run "$(DATA)"

bench: build redis peers ## Measure speed against named competitors: 40 minutes, 8 GB for Redis (USERS=100000 for less)
	cargo bench --workspace --locked --bench speed --bench naming

growth: build redis ## Measure how cost grows, and plot it into docs/growth: half an hour, 8 GB for Redis
	cargo bench --locked --bench growth

clean: ## Remove everything that was built or fetched
	rm -rf target $(TOOLS)
