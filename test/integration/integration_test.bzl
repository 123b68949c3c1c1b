"""integration_test: one Python test program run against the edge binary."""

def integration_test(name, size = "medium", tags = [], data = [], args = [], shard_count = None):
    """Runs NAME.py with python3 and $EDGE_BINARY; Debian's Bazel has no rules for Python.

    Args:
      name: of the test and, with .py, of its program.
      size: Bazel's; each wait within a test has its own, shorter limit.
      tags: Bazel's. Tests that load the machine or measure are "exclusive".
      data: further files.
      args: given to the program.
      shard_count: processes that share the work, where the program heeds Bazel's TEST_SHARD_INDEX.
    """
    native.sh_test(
        name = name,
        size = size,
        srcs = ["run_python_test.sh"],
        args = ["$(rootpath //proxy:edge)", "$(rootpath %s.py)" % name] + args,
        data = [name + ".py", ":harness", "//proxy:edge"] + data,
        tags = tags,
        shard_count = shard_count,
    )
