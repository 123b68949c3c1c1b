"""The libraries that edge is built from.

tools/setup downloads, verifies and unpacks each one, and leaves a symbolic link to it in .deps/.
The versions and checksums are in sources.txt.
"""

def edge_repositories():
    # Abseil's own build files work as they are.
    native.local_repository(
        name = "com_google_absl",
        path = ".deps/abseil",
    )

    native.new_local_repository(
        name = "boringssl",
        build_file = "//tools/deps:boringssl.BUILD",
        path = ".deps/boringssl",
    )

    native.new_local_repository(
        name = "c-ares",
        build_file = "//tools/deps:c-ares.BUILD",
        path = ".deps/c-ares",
    )

    native.new_local_repository(
        name = "expat",
        build_file = "//tools/deps:expat.BUILD",
        path = ".deps/expat",
    )

    # The name under which other build files look for Google's benchmark library.
    native.new_local_repository(
        name = "com_github_google_benchmark",
        build_file = "//tools/deps:benchmark.BUILD",
        path = ".deps/benchmark",
    )

    # Its own build file asks for platforms that Debian's Bazel does not have.
    native.new_local_repository(
        name = "com_google_googletest",
        build_file = "//tools/deps:googletest.BUILD",
        path = ".deps/googletest",
    )

    # The OWASP Core Rule Set and its regression cases: for tests.
    native.new_local_repository(
        name = "crs",
        build_file = "//tools/deps:crs.BUILD",
        path = ".deps/crs",
    )

    # On x86-64 not vectorscan, which grew out of it: its 5.4.9 misses matches there (VectorCamp/vectorscan#317), and to the
    # rule engine a match that is missed is an attack that passes.
    native.new_local_repository(
        name = "hyperscan",
        build_file = "//tools/deps:hyperscan.BUILD",
        path = ".deps/hyperscan",
    )

    # The library comes inside libmodsecurity's sources, and these bring cases for tests of the rule engine.
    native.new_local_repository(
        name = "libinjection",
        build_file = "//tools/deps:libinjection.BUILD",
        path = ".deps/modsecurity",
    )

    native.new_local_repository(
        name = "liburing",
        build_file = "//tools/deps:liburing.BUILD",
        path = ".deps/liburing",
    )

    native.new_local_repository(
        name = "llhttp",
        build_file = "//tools/deps:llhttp.BUILD",
        path = ".deps/llhttp",
    )

    native.new_local_repository(
        name = "modsecurity_tests",
        build_file = "//tools/deps:modsecurity_tests.BUILD",
        path = ".deps/modsecurity",
    )

    native.new_local_repository(
        name = "nlohmann_json",
        build_file = "//tools/deps:nlohmann_json.BUILD",
        path = ".deps/nlohmann_json",
    )

    native.new_local_repository(
        name = "pcre2",
        build_file = "//tools/deps:pcre2.BUILD",
        path = ".deps/pcre2",
    )

    native.new_local_repository(
        name = "yaml-cpp",
        build_file = "//tools/deps:yaml-cpp.BUILD",
        path = ".deps/yaml-cpp",
    )
