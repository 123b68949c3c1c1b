"""edge_fuzz_test: one source, two programs.

    bazel test //test/fuzz/...     replays the corpus, in every configuration
    tools/fuzz NAME SECONDS        searches with libFuzzer
"""

def edge_fuzz_test(name, srcs, corpus, deps = [], **attrs):
    """Declares a fuzz target.

    Args:
      name: ends in _fuzz_test.
      srcs: define LLVMFuzzerTestOneInput, and no main.
      corpus: the recorded inputs, every bug's among them. With an input that crashes the test fails.
      deps: what the sources include.
      **attrs: of cc_test.
    """
    native.cc_test(
        name = name,
        size = "small",
        srcs = srcs,
        args = select({
            "//test/fuzz:searching": [],
            "//conditions:default": ["$(location %s)" % file for file in corpus],
        }),
        data = corpus,
        linkopts = select({
            "//test/fuzz:searching": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        deps = deps + select({
            "//test/fuzz:searching": [],
            "//conditions:default": ["//test/fuzz:replay_main"],
        }),
        **attrs
    )
