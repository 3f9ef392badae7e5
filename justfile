# Every recipe is one word. `just` alone lists them.

set positional-arguments

_list:
    @just --list --unsorted

# everything that may not be committed broken; changes nothing
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps

# what `check` finds and a machine can repair
fix:
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
    cargo fmt --all

# all tests; with cargo-nextest if it is there, which does not know doc tests
test *args:
    if cargo nextest --version >/dev/null 2>&1; then \
        cargo nextest run --workspace "$@" && cargo test --workspace --doc; \
    else \
        cargo test --workspace "$@"; \
    fi

# real processes killed, paused and cut off under load, for minutes: prints what it did and found
soak *args:
    cargo test --release --package skiff-cli --test live -- --ignored --nocapture --test-threads 1 "$@"
    cargo test --release --package skiff-cli --test kernel -- --ignored --nocapture --test-threads 1 "$@"
    cargo test --release --package skiff-cli --test big_snapshots -- --ignored --nocapture "$@"
    SKIFF_OUTCOME_ROUNDS=1000 cargo test --release --package skiff --test outcomes -- --nocapture "$@"
    cargo test --release --package skiff --test durable -- --ignored --nocapture --test-threads 1 "$@"

# the scripts of the core, with their transcripts written anew: read the diff before you keep it
golden:
    UPDATE_GOLDENFILES=1 cargo test --package skiff-core
    git diff --stat -- crates/skiff-core/tests

# three processes, a durable log each, one of them killed now and then
demo *args:
    cargo run --release -- demo "$@"

# commands a second, beside what this machine could do at most
bench *args:
    cargo run --release -- bench "$@"

# the documentation, in the browser
doc:
    cargo doc --workspace --no-deps --open

# licences, advisories, duplicate versions (needs cargo-deny)
deny:
    cargo deny check

# spelling (needs typos)
typos:
    typos

# the oldest toolchain that is promised, on the libraries (needs rustup)
msrv:
    rustup run 1.88 cargo check --workspace --lib

# the core without the standard library
nostd:
    .ci/no-std

# what is run before a change is taken
ci:
    .ci/run
