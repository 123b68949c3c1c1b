"""The aspect behind tools/lint: clang-tidy as a build action for each of our C++ sources.

As an action it knows every include path without a compilation database, runs again only for a file whose inputs have
changed, and finds its results in the disk cache.
"""

_CLANG_TIDY = "clang-tidy-19"

def _clang_tidy_impl(target, ctx):
    if CcInfo not in target or target.label.workspace_name or not hasattr(ctx.rule.files, "srcs"):
        return []
    context = target[CcInfo].compilation_context
    flags = ["-std=c++20", "-Wall", "-Wextra"]
    flags += ["-D" + define for define in context.defines.to_list() + context.local_defines.to_list()]
    for path in context.quote_includes.to_list():
        flags += ["-iquote", path]
    for path in context.system_includes.to_list() + context.includes.to_list():
        flags += ["-isystem", path]

    outputs = []
    for source in ctx.rule.files.srcs:
        if source.extension != "cc":
            continue
        output = ctx.actions.declare_file("%s.%s.clang-tidy" % (ctx.rule.attr.name, source.basename))
        ctx.actions.run_shell(
            outputs = [output],
            inputs = depset(ctx.rule.files.srcs + [ctx.file._config], transitive = [context.headers]),
            # Without a finding it says nothing; with one, paths are those of the tree, not of the sandbox.
            command = """
                {tidy} --quiet --config-file="$1" "$2" -- "${{@:4}}" > "$3" 2>&1 && exit
                sed "s|$PWD/||g; /warnings* generated/d; /treated as error/d" "$3"
                exit 1
            """.format(tidy = _CLANG_TIDY),
            arguments = [ctx.file._config.path, source.path, output.path] + flags,
            mnemonic = "ClangTidy",
            progress_message = "Linting %s" % source.short_path,
            use_default_shell_env = True,
        )
        outputs.append(output)
    return [OutputGroupInfo(lint = depset(outputs))]

clang_tidy = aspect(
    implementation = _clang_tidy_impl,
    attrs = {
        "_config": attr.label(default = "//:.clang-tidy", allow_single_file = True),
    },
)
