.PHONY: quick check check-cuda test fuzz bench run docs

# After each change: format, lints and the tests inside the libraries, in a minute or two on a warm tree.
quick:
	cargo fmt --check
	cargo clippy --lib -- -D warnings
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --lib; else cargo test --lib; fi

# Everything that needs no run of the server: formatting, lints, documentation and its links, dependencies, layers.
check:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
	cargo test --test architecture
	@if cargo deny --version >/dev/null 2>&1; \
	then cargo deny --offline check licenses bans sources; \
	else echo "NOT CHECKED: licences and sources of dependencies; cargo-deny is missing (cargo install --locked cargo-deny)"; fi

# The build for NVIDIA GPUs, on a machine without one: types, lints, and what the program asks of a driver that only counts.
# `make check-cuda PARTS=kernels` compiles it as it ships, which takes 20 to 26 minutes on two cores, and PARTS=image makes the CUDA image;
# .ci/cuda says when to run which.
check-cuda:
	.ci/cuda $(PARTS)

# Every test. cargo-nextest runs them side by side; it does not know documentation tests. Tests in modules named
# `clients` drive programs from tests/clients/requirements.txt and are skipped where TEST_PYTHON names no interpreter
# that has them; .ci/run installs one. The deployment kit (image, chart, scripts, rules) is tested by KIT_PYTHON with what
# tests/kit/requirements.txt names, and with the tools that the machine has.
test:
	@start=$$(date +%s); \
	if cargo nextest --version >/dev/null 2>&1; \
	then cargo nextest run --no-run && echo "PART: building the tests took $$(($$(date +%s) - start)) s" \
	    && cargo nextest run $(if $(TEST_PYTHON),,-E 'not test(/\bclients::/)') && cargo test --doc; \
	else cargo test --no-run && echo "PART: building the tests took $$(($$(date +%s) - start)) s" \
	    && cargo test $(if $(TEST_PYTHON),,-- --skip clients::); fi \
	    && echo "PART: building and running them took $$(($$(date +%s) - start)) s"
	@if [ -n "$(KIT_PYTHON)" ]; \
	then start=$$(date +%s); SCONCE_PROGRAM=$(or $(CARGO_TARGET_DIR),target)/debug/sconce $(KIT_PYTHON) -m pytest tests/kit \
	    && echo "PART: the tests of the deployment kit took $$(($$(date +%s) - start)) s"; \
	else echo "NOT RUN: the tests of the deployment kit; KIT_PYTHON names no interpreter that has tests/kit/requirements.txt"; fi

# New hostile input, for half a minute: PROPTEST_CASES over 256 is how many times longer than in `make test`.
fuzz:
	PROPTEST_CASES=$(or $(PROPTEST_CASES),25600) cargo test --test hostile

bench:
	cargo bench

# The server, with the model that is inside the program.
run:
	cargo run --release

# Pages that are made from the code.
docs:
	UPDATE_DOCS=1 cargo test --lib config::tests::the_page_about_configuration_is_fresh
