# One command for everything: `make test` installs what it needs (Debian and crates.io only) and passes every test.

TOOLS := $(CURDIR)/.tools
DENY_VERSION := 0.20.2
DENY := $(TOOLS)/bin/cargo-deny
BROWSER := /usr/bin/chromium /usr/bin/chromedriver
POSTGRESQL := $(or $(wildcard /usr/lib/postgresql/*/bin/initdb),/usr/lib/postgresql/15/bin/initdb)
MAIL_SERVER := /usr/bin/aiosmtpd
FAULTS := /usr/bin/strace /usr/bin/faketime
WORLDS := cargo run --quiet --profile worlds --locked --no-default-features --features canaries --bin worlds --
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: test install format lint tests turmoil worlds soak documentation dependencies bench bench-peers bench-provers fuzz mutants

test: install format lint documentation dependencies tests
	@echo "make test: everything passed"

# Installs: chromium and chromium-driver (Debian) for the browser test, aiosmtpd (Debian) for the notices by e-mail, strace and faketime (Debian)
# for the faults of disk and clock, PostgreSQL (Debian; the tests start servers of their own), cargo-deny (crates.io) into .tools/, and a C compiler
# (Debian's build-essential) where the machine has none, for SQLite and AWS-LC.
install: $(BROWSER) $(MAIL_SERVER) $(FAULTS) $(POSTGRESQL) $(DENY)
	@command -v cc >/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq build-essential; }

$(BROWSER):
	@echo "installing from Debian: chromium chromium-driver"
	$(SUDO) apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core >/dev/null

# `create_main_cluster = false`: Debian would start a server of its own.
$(POSTGRESQL):
	@echo "installing from Debian: postgresql"
	$(SUDO) mkdir -p /etc/postgresql-common/createcluster.d
	echo "create_main_cluster = false" | $(SUDO) tee /etc/postgresql-common/createcluster.d/fourth.conf >/dev/null
	$(SUDO) apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends postgresql >/dev/null

$(MAIL_SERVER):
	@echo "installing from Debian: python3-aiosmtpd"
	$(SUDO) apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends python3-aiosmtpd >/dev/null

$(FAULTS):
	@echo "installing from Debian: strace faketime"
	$(SUDO) apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends strace faketime >/dev/null

$(DENY):
	@echo "installing from crates.io: cargo-deny $(DENY_VERSION)"
	cargo install --quiet --debug --locked --root $(TOOLS) cargo-deny@$(DENY_VERSION)

format:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --package fourth-option --no-default-features --features adapter --locked -- -D warnings
	cargo clippy --package fourth-option --features canaries --lib --bin worlds --test turmoil --locked -- -D warnings

tests:
	cargo test --profile quick --workspace --locked
	cargo test --profile quick --quiet --locked --test main -- --nocapture the_fault_table
	FOURTH_OPTIMISED=$(CURDIR)/target/quick/fourth cargo test --profile quick --locked --test main -- --ignored --nocapture an_idle_adapter
	$(MAKE) worlds
	$(MAKE) turmoil

# 3,000 worlds of the whole adapter on a simulated network (tests/turmoil/README.md); `make turmoil ASK="seed 17"` runs one.
turmoil:
	cargo test --profile quick --locked --test turmoil -- $(ASK)

# Half a million simulated worlds, the regressions first, and every deliberate bug found (tests/worlds/README.md). One world,
# told step by step: `make worlds ASK="seed 17"`.
worlds:
	$(WORLDS) $(ASK)

# New worlds until one fails or you stop it.
soak:
	$(WORLDS) soak

documentation:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

dependencies:
	$(DENY) --all-features --config .deny.toml check --hide-inclusion-graph bans licenses sources

# Prints every figure; judged by eye and kept out of `make test`, since shared machines are noisy. Answers are asserted equal.
bench:
	cargo bench --locked --bench line --bench decide --bench replay --bench journal --bench shared_journal
	$(MAKE) bench-peers

# The same policy and calls in Fourth, Cedar, regorus and CEL: fails where an answer differs or Fourth is not a hundred times faster.
# Its Cargo.lock pins the peers and follows the dependencies of Fourth.
bench-peers:
	cargo run --release --manifest-path tests/bench/peers/Cargo.toml --target-dir target/peers

# The built-in safeguards of a thousand rows by our covers, by a SAT solver and by decision diagrams: fails where a verdict differs.
bench-provers:
	cargo run --release --manifest-path tests/bench/provers/Cargo.toml --target-dir target/provers

# Sixty seconds on each decoder and on narratives (needs cargo-fuzz: cargo install cargo-fuzz).
fuzz:
	for target in eido cad_export_xml delimited conveyance narrative; do RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz $$target -- -max_total_time=60 || exit 1; done

# Every small change to the policy and the incident that no test sees must be in tests/mutants/survivors.csv with its reason
# (hours; `make mutants ASK="hours.rs route.rs"` takes some files).
mutants:
	cargo run --release --locked --manifest-path tests/mutants/Cargo.toml --target-dir target/mutants/tool -- $(ASK)
