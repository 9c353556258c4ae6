.PHONY: check test bench run docs

# Everything that needs no run of the server: formatting, lints, documentation, dependencies, layers.
check:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
	cargo test --test architecture
	@if cargo deny --version >/dev/null 2>&1; \
	then cargo deny --offline check licenses bans sources; \
	else echo "NOT CHECKED: licences and sources of dependencies; cargo-deny is missing (cargo install --locked cargo-deny)"; fi

# Every test. cargo-nextest runs them side by side; it does not know documentation tests.
test:
	@if cargo nextest --version >/dev/null 2>&1; \
	then cargo nextest run && cargo test --doc; \
	else cargo test; fi

bench:
	cargo bench

# The server, with the model that is inside the program.
run:
	cargo run --release

# Pages that are made from the code.
docs:
	UPDATE_DOCS=1 cargo test --lib config::tests::the_page_about_configuration_is_fresh
