"""Runs CRS's regression cases and tells which pass. tools/crs is its command line."""

import argparse
import json
import pathlib
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
sys.path.append(str(REPOSITORY / "test/integration"))

import cases as crs_cases  # noqa: E402
import known_failures  # noqa: E402
import rules as crs_rules  # noqa: E402
import subjects  # noqa: E402
import verdict  # noqa: E402


def run(subject, cases, enabled):
    """[(case, verdict, answers)]; the verdict is that of the first stage that does not pass, or of the last."""
    all_answers = iter(subject.answers([stage.data for case in cases for stage in case.stages]))
    results = []
    for case in cases:
        answers = [next(all_answers) for _ in case.stages]
        verdicts = [verdict.judge(stage, answer, enabled) for stage, answer in zip(case.stages, answers)]
        results.append((case, next((each for each in verdicts if not each.passed), verdicts[-1]), answers))
    return results


def report(name, level, results, took_s):
    """Prints what passed, and what did not with its reason."""
    failed = [(case, each) for case, each, _ in results if not each.passed]
    refused = [(case, each) for case, each, _ in results if each.refused]
    for case, each in refused:
        print(f"refused {case.title}: {each.refused}; {case.description}")
    for case, each in failed:
        known = known_failures.KNOWN_FAILURES.get(case.title) if name != "nginx" else None
        print(f"failed  {case.title}: {each.why}; {known or case.description}")
    passed = len(results) - len(failed)
    print(f"{name}, paranoia level {level}: {passed} of {len(results)} passed ({100 * passed / len(results):.2f} %), "
          f"{len(refused)} of them because edge's parser refuses the request; {took_s:.1f} s")


def main():
    parser = argparse.ArgumentParser(prog="tools/crs", description=__doc__.partition("\n")[0])
    parser.add_argument("subject", choices=("engine", "edge", "nginx"))
    parser.add_argument("--level", type=int, default=4, help="paranoia level, 1 to 4 (the default)")
    parser.add_argument("--mode", choices=("detect", "block"), default="detect", help="of edge")
    parser.add_argument("--only", default="", help="cases whose titles begin like this")
    parser.add_argument("--answers", type=pathlib.Path, help="write what came of each case to this file, as JSON")
    parser.add_argument("--crs", default=REPOSITORY / ".deps/crs", help="folder of CRS's sources")
    parser.add_argument("--modsecurity", default=REPOSITORY / ".deps/modsecurity", help="folder of libmodsecurity's sources")
    parser.add_argument("--yaml_json", required=True, help="the built //test/waf/crs:yaml_json")
    parser.add_argument("--runner", help="the built //test/waf/crs:crs_runner, for engine")
    arguments = parser.parse_args()

    cases = crs_cases.read_cases(arguments.yaml_json, pathlib.Path(arguments.crs, "tests/regression/tests"))
    cases = [case for case in cases if case.title.startswith(arguments.only)]
    levels = crs_rules.levels_of_rules(arguments.crs)
    with tempfile.TemporaryDirectory(prefix="edge-crs-") as directory:
        configuration = pathlib.Path(directory, "rules.conf")
        crs_rules.write_configuration(configuration, arguments.crs, arguments.modsecurity, arguments.level)
        started = time.monotonic()
        if arguments.subject == "engine":
            subject = subjects.Engine(arguments.runner, configuration)
        elif arguments.subject == "edge":
            subject = subjects.Edge(arguments.mode, configuration, directory)
        else:
            subject = subjects.Nginx(configuration, directory)
        with subject:
            results = run(subject, cases, lambda number: levels.get(number, 1) <= arguments.level)
        report(arguments.subject, arguments.level, results, time.monotonic() - started)
    if arguments.answers:
        arguments.answers.write_text(json.dumps(
            {case.title: [dict(status=answer.status, refused=answer.refused, ids=sorted(answer.ids)) for answer in answers]
             for case, _, answers in results}, indent=1))
    return 0 if all(each.passed for _, each, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
