"""What is special to the Bazel that Debian packages, all of it in this file.

The public Bazel downloads a handful of rule repositories, or brings them along. Debian's 4.2.3 does neither:
they are Debian packages under /usr/share/bazel, or stand-ins of ours. A newer Bazel has its own, so it gets only
what it lacks.
"""

def debian_bazel_repositories():
    # Abseil asks for it; every Bazel can use the packaged one.
    native.local_repository(
        name = "bazel_skylib",
        path = "/usr/share/bazel/tools/skylib",
    )

    if not _is_bazel_4():
        return

    native.local_repository(
        name = "platforms",
        path = "/usr/share/bazel/tools/platforms",
    )
    native.local_repository(
        name = "rules_java",
        path = "/usr/share/bazel/rules/java",
    )
    native.local_repository(
        name = "rules_proto",
        path = "/usr/share/bazel/rules/proto",
    )

    # The packaged rules_cc does not fit this Bazel.
    native.local_repository(
        name = "rules_cc",
        path = "tools/deps/rules_cc",
    )

    # `bazel test` loads it, with or without coverage.
    native.local_repository(
        name = "remote_coverage_tools",
        path = "tools/deps/coverage_tools",
    )

def _is_bazel_4():
    # A build from source, as Debian's, may carry no version at all.
    version = native.bazel_version
    return not version or version.startswith("4.")
