#!/bin/sh
# Runs one test program for Bazel: run_python_test.sh EDGE_BINARY TEST.py [ARGUMENTS]
# Debian's Bazel has no rules for Python, and the tests need nothing but the standard library.
set -eu
EDGE_BINARY=$(realpath "$1")
export EDGE_BINARY
shift
export PYTHONDONTWRITEBYTECODE=1
exec python3 "$@"
