# Lists what can be done.
default:
    @just --list

# Everything that CI checks; run it before you push.
check:
    bash .ci/run

# Runs the tests whose names hold FILTER, or all of them.
test *FILTER:
    cargo xtask test {{FILTER}}

# Holds the rules that neither the compiler nor clippy can see.
tidy:
    cargo xtask tidy

# Puts every file into the one format.
format:
    cargo fmt --all
