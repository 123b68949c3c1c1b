"""test/CONFORMANCE.md: every test that it names exists, every row has one, and no class of the corpus is missing in it.

Prints how many named tests stand behind each section. Starts nothing; what the tests say is theirs.
"""

import ast
import collections
import pathlib
import re
import unittest

import raw_requests
import raw_smuggling

HERE = pathlib.Path(__file__).parent
TABLE = HERE.parent / "CONFORMANCE.md"
GTEST = re.compile(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", re.M)
COLUMNS = ("section", "what holds", "without I/O", "through the whole proxy")


def unit_tests():
    """{"suite.*" and "suite.test": the C++ tests that it stands for}."""
    found = collections.defaultdict(set)
    for path in HERE.parent.glob("*/*_test.cc"):
        for suite, name in GTEST.findall(path.read_text()):
            found[f"{suite}.*"].add((suite, name))
            found[f"{suite}.{name}"].add((suite, name))
    return found


def program_tests():
    """{"program.Class" and "program.Class.test": the Python tests that it stands for}."""
    found = collections.defaultdict(set)
    for path in HERE.glob("*_test.py"):
        for node in ast.parse(path.read_text()).body:
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(method, ast.FunctionDef) and method.name.startswith("test_"):
                    test = f"{path.stem}.{node.name}.{method.name}"
                    found[f"{path.stem}.{node.name}"].add(test)
                    found[test].add(test)
    return found


def corpus_classes():
    """{"module.generator": (its section, its number of cases)}."""
    return {f"{module.__name__}.{name}": (value.section, sum(1 for _ in value()))
            for module in (raw_requests, raw_smuggling) for name, value in vars(module).items() if hasattr(value, "section")}


def rows():
    """[(section, what holds, [names of unit tests], [names of others])] of all tables that have these columns."""
    result, wanted = [], False
    for line in TABLE.read_text().splitlines():
        cells = tuple(cell.strip() for cell in line[1:-1].split("|")) if line.startswith("|") else ()
        if not cells:
            wanted = False
        elif cells == COLUMNS:
            wanted = True
        elif wanted and not set(line) <= set("|-"):
            result.append((*cells[:2], *(re.findall(r"`([^`]+)`", cell) for cell in cells[2:])))
    return result


class ConformanceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.units = unit_tests()
        cls.programs = program_tests()
        cls.classes = corpus_classes()
        cls.rows = rows()

    def test_the_table_is_read(self):
        self.assertGreater(len(self.rows), 60)
        self.assertGreater(len(self.units), 200)
        self.assertGreater(len(self.programs), 200)
        for row in self.rows:
            self.assertEqual(len(row), len(COLUMNS), row)

    def test_every_name_is_a_test(self):
        for section, what, units, programs in self.rows:
            with self.subTest(section=section, what=what):
                self.assertEqual(set(units) - set(self.units), set(), "no such unit tests")
                self.assertEqual(set(programs) - set(self.programs) - set(self.classes), set(), "no such tests")

    def test_every_row_has_a_test(self):
        for section, what, units, programs in self.rows:
            with self.subTest(section=section, what=what):
                self.assertTrue(programs, "no test through the whole proxy")
                if section.startswith("smuggling"):
                    self.assertTrue(units, "no unit test")

    def test_every_class_of_the_corpus_is_in_its_section(self):
        named = {(section, name) for section, _, _, programs in self.rows for name in programs}
        for name, (section, count) in self.classes.items():
            self.assertIn((section, name), named)
            self.assertGreater(count, 0, name)

    def test_count(self):
        """For people: how many tests each section has, those of a whole suite or class one by one."""
        found = {}
        for section, _, units, programs in self.rows:
            unit, other, classes = found.setdefault(section, (set(), set(), set()))
            for name in units:
                unit |= self.units[name]
            for name in programs:
                other |= self.programs.get(name, set())
            classes |= set(programs) & set(self.classes)
        print(f"\n{'section':<60} unit tests  through the proxy  raw requests")
        for section, (unit, other, classes) in found.items():
            raw = sum(self.classes[name][1] for name in classes)
            print(f"{section:<60} {len(unit):>10}  {len(other):>17}  {raw:>12}")
        every_unit, every_other = (set().union(*(sets[i] for sets in found.values())) for i in (0, 1))
        print(f"{'all':<60} {len(every_unit):>10}  {len(every_other):>17}  {len(raw_requests.corpus()):>12}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
