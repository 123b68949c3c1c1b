"""crs_test.py YAML_JSON RUNNER CRS-SETUP.CONF.EXAMPLE MODSECURITY.CONF-RECOMMENDED LEVEL

The Core Rule Set's regression cases against edge's parser and rule engine: all pass but those that are known, each with its
reason. One that passes although it is known fails as well, so that the list stays true."""

import pathlib
import sys
import tempfile
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "integration"))

import cases as crs_cases  # noqa: E402
import crs  # noqa: E402
import known_failures  # noqa: E402
import rules as crs_rules  # noqa: E402
import subjects  # noqa: E402

YAML_JSON, RUNNER, CRS_SETUP, RECOMMENDED, LEVEL = sys.argv[1:]
CRS = pathlib.Path(CRS_SETUP).parent
MODSECURITY = pathlib.Path(RECOMMENDED).parent

CASES = 2409
# Of a request that no rule has seen. More of them would mean that the parser hides what rules were tested for.
REFUSED_MAX = 43


class CrsTest(unittest.TestCase):
    def test_all_cases_pass_but_the_known(self):
        cases = crs_cases.read_cases(YAML_JSON, pathlib.Path(CRS, "tests/regression/tests"))
        self.assertEqual(len(cases), CASES)
        levels = crs_rules.levels_of_rules(CRS)

        def enabled(number):
            return levels.get(number, 1) <= int(LEVEL)

        with tempfile.TemporaryDirectory() as directory:
            configuration = pathlib.Path(directory, "rules.conf")
            crs_rules.write_configuration(configuration, CRS, MODSECURITY, LEVEL)
            with subjects.Engine(RUNNER, configuration) as engine:
                results = crs.run(engine, cases, enabled)
        failed = {case.title: verdict.why for case, verdict, _ in results if not verdict.passed}
        known = known_failures.known_failures(enabled)
        self.assertEqual({title: why for title, why in failed.items() if title not in known}, {})
        self.assertEqual(set(known) - set(failed), set(), "known to fail, but passed")
        self.assertLessEqual(sum(bool(verdict.refused) for _, verdict, _ in results), REFUSED_MAX)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
