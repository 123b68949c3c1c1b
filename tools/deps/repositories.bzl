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
        name = "yaml-cpp",
        build_file = "//tools/deps:yaml-cpp.BUILD",
        path = ".deps/yaml-cpp",
    )
