# Tidemark. `make demo` and `make test` are all a newcomer needs: a machine with Rust and make.
# Tests use cargo's own runner; every target may be run alone.

CARGO ?= cargo
LEAN := target/lean
TOOLS := target/tools/bin

.PHONY: demo demo-build demo-check build test check check-full lint tools bench bench-peers release soak

# The main job on this machine, offline, until Ctrl-C. Open http://127.0.0.1:9099 while it runs.
demo: demo-build
	@$(LEAN)/venue-sim demo --bin-dir $(LEAN)

# The same without a terminal: ends by itself when everything was seen, or names what was missing.
demo-check: demo-build
	@$(LEAN)/venue-sim demo --check --bin-dir $(LEAN)

# Only what the demo runs, quick to compile.
demo-build:
	@echo "building collector, watchdog and venue-sim (profile lean)"
	@$(CARGO) build --profile lean --locked -p collector -p watchdog -p venue-sim --bins

build:
	$(CARGO) build --workspace --locked --all-targets

# All tests. What needs a real counterpart (nats-server, promtool, …) finds it in target/tools; SKIP_TOOLS=1 does without and says what was not run.
test: $(if $(SKIP_TOOLS),,tools)
	$(CARGO) build --workspace --locked --bins
	$(CARGO) test --workspace --locked --no-fail-fast

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --locked --all-targets -- -D warnings

# What continuous integration runs. The tests come last, so that the runner's closing lines end the output.
check: lint demo-check test

# Everything: besides, ten times as many generated expressions beside a real Prometheus, and the benches.
check-full: check
	TIDEMARK_EXPRESSIONS=20000 $(CARGO) test --locked -p promql --test differential
	$(MAKE) bench

# The real counterparts, unpacked from Debian packages into target/tools: no root, nothing installed.
tools:
	@tools/fetch.sh

# Release build with the allocator that production uses; see docs/benchmarks.md for what each figure means.
release:
	$(CARGO) build --release --locked -p collector -p watchdog -p venue-sim --bins --features collector/jemalloc

bench: release
	$(CARGO) run --release --locked -p bench -- --bin-dir target/release

# The peers that the collector is measured beside, into target/peers; `make bench` says so when one is not there.
bench-peers:
	python3 -m venv target/peers/cryptofeed
	target/peers/cryptofeed/bin/pip install --quiet cryptofeed==2.4.1
	$(CARGO) build --release --manifest-path bench/peers/barter/Cargo.toml --target-dir target/peers/build
	cp target/peers/build/release/barter-books target/peers/barter-books

# The collector between faults: storms, instruments that come and go, NATS restarts. SOAK_MINUTES=60 make soak; SOAK_BUILD=lean is quick to compile.
SOAK_MINUTES ?= 10
SOAK_BUILD ?= release
soak: $(if $(filter lean,$(SOAK_BUILD)),demo-build,release) $(if $(SKIP_TOOLS),,tools)
	$(CARGO) run --profile $(SOAK_BUILD) --locked -p bench -- soak --bin-dir target/$(SOAK_BUILD) --minutes $(SOAK_MINUTES)
