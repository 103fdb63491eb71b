#!/usr/bin/env bash
# The gate: all checks that a change must pass, fast ones first. It stops at the first
# failure. It needs cargo-hack, cargo-machete and Python; `.ci/run` installs them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() {
  local started=$SECONDS
  printf '\n=== %s\n' "$*"
  if ! "$@"; then
    printf '=== FAILED after %d s: %s\n' $((SECONDS - started)) "$*"
    exit 1
  fi
  printf '=== %d s, %d s in all\n' $((SECONDS - started)) "$SECONDS"
}

# filtered FILTER OPTION...: runs the tests whose names contain the filter. `cargo test`
# succeeds if there are none; this fails.
filtered() {
  local filter=$1 output
  shift
  output=$(cargo test "$@" "$filter") || { printf '%s\n' "$output"; return 1; }
  printf '%s\n' "$output"
  if ! grep -q '^test result: ok\. [1-9]' <<<"$output"; then
    printf 'no test has "%s" in its name\n' "$filter"
    return 1
  fi
}

# Runs the loom models.
models() {
  filtered loom_ --release --lib --target-dir target/loom
}

# Tests what the feature `proptest` adds to `full`. All other tests would be compiled again.
strategies() {
  filtered strategies:: --all-features --test testkit || return
  filtered strategies --all-features --doc
}

# Runs the examples. Each asserts what it shows, and exits.
examples() {
  local example
  for example in first_pick custom_scheduler tower_clients grpc_clients grpc_proxy reqwest_clients tcp_forward udp_forward websocket; do
    cargo run --quiet --features full --example "$example" || return
  done
  for example in axum_app content_routing httpd_conf tls_proxy; do
    cargo run --quiet --features full --example "$example" -- --exit || return
  done
  cargo run --quiet --features full --example simulate -- --requests 20000 --members 10 || return
  story health_checks 8 'a dies' 'a goes from ok to failed check: GET /status' 'b goes from ok to failed check: GET /status answered 503' \
    'c goes from ok to failed check: GET /status: timed out after' 'd goes from failed check to ok' || return
  story heartbeats 20 'a crashes' 'a goes from ok to in error' 'b has other work' 'd goes from in error to ok' \
    'e stops gracefully' '^ *e *stopped *0 ' 'each has its share again' || return
}

# story EXAMPLE SECONDS PATTERN...: runs an example for a time. Its output must match each
# pattern and have no escape codes.
story() {
  local example=$1 seconds=$2 output line
  shift 2
  output=$(cargo run --quiet --features full --example "$example" -- --seconds "$seconds") || { printf '%s\n' "$output"; return 1; }
  printf '%s\n' "$output"
  for line; do
    if ! grep -q -- "$line" <<<"$output"; then
      printf 'the output of %s does not match "%s"\n' "$example" "$line"
      return 1
    fi
  done
  if grep -q $'\e' <<<"$output"; then
    printf 'the output of %s has escape codes, although it is not a terminal\n' "$example"
    return 1
  fi
}

# Checks the library with the compiler that `rust-version` names. `.ci/run` tries to install it.
oldest_compiler() {
  local version
  version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
  if ! rustup run "$version" cargo --version 2>/dev/null; then
    echo "NOT VERIFIED: Rust $version is not installed; run \`rustup toolchain install $version\`"
    return
  fi
  rustup run "$version" cargo check --lib --target-dir target/oldest || return
  rustup run "$version" cargo check --lib --features full --target-dir target/oldest
}

# Checks the library with the lowest versions of its dependencies that `Cargo.toml` permits.
# Versions are resolved without dev-dependencies, as for users. RUSTC_BOOTSTRAP is set only for
# cargo's unstable option, not for the compiler.
lowest_versions() {
  local crate=target/lowest/crate folder
  rm -rf "$crate"
  mkdir -p "$crate"
  awk '/^\[/ { skipped = $0 == "[dev-dependencies]" } !skipped' Cargo.toml >"$crate/Cargo.toml"
  for folder in src examples benches tests README.md; do
    ln -s "$PWD/$folder" "$crate/$folder"
  done
  (cd "$crate" && RUSTC_BOOTSTRAP=1 cargo update --quiet -Z direct-minimal-versions) || return
  cargo check --lib --manifest-path "$crate/Cargo.toml" --target-dir target/lowest || return
  cargo check --lib --features full --manifest-path "$crate/Cargo.toml" --target-dir target/lowest
}

# Compiles the benchmark beside other crates, and runs each contender once. It needs cmake, for
# pingora. Only weekly: its dependencies take longer than all of this crate.
peers() {
  if [[ -z ${EQUIPOISE_WEEKLY-} ]]; then
    echo 'skipped: set EQUIPOISE_WEEKLY=1 to run it'
    return
  fi
  if ! command -v cmake; then
    echo 'NOT VERIFIED: cmake is not installed'
    return
  fi
  cargo clippy --locked --manifest-path benches/peers/Cargo.toml --target-dir target/peers -- -D warnings || return
  cargo run --locked --manifest-path benches/peers/Cargo.toml --target-dir target/peers -- --test
}

# Runs the suites of requests once more, with the state machine from the beginning of each
# request. Only weekly: everything is compiled anew.
machine_first() {
  if [[ -z ${EQUIPOISE_WEEKLY-} ]]; then
    echo 'skipped: set EQUIPOISE_WEEKLY=1 to run it'
    return
  fi
  RUSTFLAGS='--cfg equipoise_machine_first' cargo test --features full --target-dir target/machine_first \
    --test wire --test serving --test service --test tls --test load --test apache -- --include-ignored
}

# Checks that the package has no tests and compiles.
package() {
  if cargo package --list --allow-dirty | grep '^tests/\|^benches/peers/'; then
    echo 'the package has tests, or benches/peers: change `include` in Cargo.toml'
    return 1
  fi
  cargo package --allow-dirty --quiet
}

step cargo fmt --all --check
# A package of its own, which `--all` does not include.
step cargo fmt --check --manifest-path benches/peers/Cargo.toml
step python3 ci/plain_words.py
step cargo clippy --all-targets --all-features -- -D warnings
step cargo clippy --lib --no-default-features -- -D warnings
step cargo hack check --each-feature --no-dev-deps
step oldest_compiler
step lowest_versions
step package
# Without these variables, soak and stress tests last two seconds and large bodies have 32 MiB.
# With EQUIPOISE_TESTED, the tests that are not ignored have passed just before (`.ci/run`).
which=--include-ignored
[[ -z ${EQUIPOISE_TESTED-} ]] || which=--ignored
EQUIPOISE_SOAK_SECONDS=20 EQUIPOISE_STRESS_SECONDS=10 EQUIPOISE_BODY_MIB=1024 step cargo test --features full -- "$which"
step strategies
step examples
step cargo run --release --all-features --example reverse_proxy -- --exit
# The first is the one that docs.rs builds.
RUSTDOCFLAGS='-D warnings' step cargo doc --no-deps --all-features
RUSTDOCFLAGS='-D warnings' step cargo doc --no-deps --features full
RUSTDOCFLAGS='-D warnings' step cargo doc --no-deps
RUSTDOCFLAGS='-D warnings' step cargo doc --no-deps --document-private-items
RUSTDOCFLAGS='-D warnings' step cargo doc --no-deps --all-features --document-private-items
step cargo machete
step cargo bench --no-run --all-features
step peers
step machine_first
RUSTFLAGS='--cfg equipoise_loom' LOOM_MAX_PREEMPTIONS=3 step models

printf '\nThe gate is green: %d s.\n' "$SECONDS"
