"""The harness itself: one that sent other requests than CRS means, or let mistakes pass, would prove nothing."""

import pathlib
import sys
import tempfile
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "integration"))

import cases  # noqa: E402
import rules  # noqa: E402
import subjects  # noqa: E402
import verdict  # noqa: E402


def stage(output, given=None):
    return cases.Stage({"input": given or {}, "output": output})


class RequestTest(unittest.TestCase):
    def test_what_is_missing_is_added(self):
        self.assertEqual(
            cases.request_bytes({"headers": {"Host": "a"}}), b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertEqual(
            cases.request_bytes({"method": "POST", "uri": "/a", "version": "HTTP/1.0", "headers": {"Host": "a"}, "data": "b=c"}),
            b"POST /a HTTP/1.0\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n"
            b"Content-Length: 3\r\n\r\nb=c")

    def test_with_stop_magic_nothing_is_added_or_encoded(self):
        self.assertEqual(
            cases.request_bytes({"headers": {"Host": "a"}, "data": "a=<b>", "stop_magic": "true"}),
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\na=<b>")

    def test_forms_are_encoded_unless_they_are(self):
        self.assertEqual(cases.encode_form("a=<b c>&d&=\u00fc&"), "a=%3Cb+c%3E&d&=%C3%BC")
        self.assertEqual(cases.encode_form("a=<b>%20"), "a=<b>%20")
        self.assertEqual(cases.encode_form("a=<b>+"), "a=<b>+")

    def test_only_forms_are_encoded(self):
        given = {"headers": {"Content-Type": "text/xml"}, "data": "<a>"}
        self.assertTrue(cases.request_bytes(given).endswith(b"\r\n\r\n<a>"))

    def test_multipart_has_crlf(self):
        given = {"headers": {"Content-Type": "multipart/form-data; boundary=a"}, "data": "--a\nb\r\n--a--"}
        request = cases.request_bytes(given)
        self.assertTrue(request.endswith(b"Content-Length: 13\r\n\r\n--a\r\nb\r\n--a--"), request)

    def test_encoded_and_raw_requests_are_sent_as_they_are(self):
        self.assertEqual(cases.request_bytes({"encoded_request": "R0VUCg==", "headers": {"a": "b"}}), b"GET\n")
        self.assertEqual(cases.request_bytes({"raw_request": "GET\n"}), b"GET\n")


class VerdictTest(unittest.TestCase):
    def judge(self, output, status=200, ids=(), refused="", level=4):
        levels = {942100: 1, 942101: 2}
        answer = verdict.Answer(status, frozenset(ids), refused=refused)
        return verdict.judge(stage(output), answer, lambda number: levels[number] <= level)

    def assert_passes(self, *arguments, **options):
        found = self.judge(*arguments, **options)
        self.assertTrue(found.passed, found.why)
        return found

    def assert_fails(self, *arguments, **options):
        self.assertFalse(self.judge(*arguments, **options).passed)

    def test_ids_in_the_log(self):
        self.assert_passes({"log_contains": 'id "942100"'}, ids=[942100, 949110])
        self.assert_fails({"log_contains": 'id "942100"'}, ids=[942101])
        self.assert_passes({"no_log_contains": 'id "942100"'}, ids=[942101])
        self.assert_fails({"no_log_contains": "id:942100"}, ids=[942100])

    def test_status(self):
        self.assert_passes({"status": ["400", "403"]}, status=403)
        self.assert_fails({"status": ["400", "403"]})
        self.assert_fails({"status": ["400"]}, status=None)

    def test_status_and_ids_count_both(self):
        self.assert_fails({"status": ["200"], "no_log_contains": 'id "942100"'}, ids=[942100])
        self.assert_fails({"status": ["200"], "no_log_contains": 'id "942100"'}, status=400)

    def test_errors(self):
        self.assert_passes({"expect_error": "true"}, status=None)
        self.assert_passes({"expect_error": "true"}, status=400)
        self.assert_fails({"expect_error": "true"})

    def test_what_the_parser_refuses_passes_apart(self):
        self.assertEqual(self.assert_passes({"log_contains": 'id "942100"'}, status=400, refused="a").refused, "a")
        self.assertEqual(self.assert_passes({"status": ["400"]}, status=505, refused="a").refused, "a")
        self.assertEqual(self.assert_passes({"status": ["400"]}, status=400, refused="a").refused, "")
        self.assert_fails({"status": ["200"]}, status=400, refused="a")
        self.assert_fails({"log_contains": 'id "942100"'}, status=400)

    def test_a_rule_of_a_higher_level_must_be_silent(self):
        self.assert_passes({"log_contains": 'id "942101"'}, level=1)
        self.assert_fails({"log_contains": 'id "942101"'}, level=1, ids=[942101])
        self.assert_fails({"log_contains": 'id "942101"'}, level=2)

    def test_a_case_that_expects_nothing_is_a_mistake(self):
        self.assertRaises(ValueError, stage, {})
        self.assertRaises(ValueError, stage, {"log_contains": "Multipart error"})

    def test_what_is_said_of_a_part_of_a_multipart_body_is_an_answer(self):
        pattern = r'Multipart: Invalid part header \(contains invalid character\)|\[id "942100"\]'
        answer = verdict.Answer(200, frozenset([200002]), "Invalid part header (contains invalid character)")
        self.assertTrue(verdict.judge(stage({"log_contains": pattern}), answer, lambda number: True).passed)
        self.assertFalse(verdict.judge(stage({"no_log_contains": pattern}), answer, lambda number: True).passed)
        self.assertFalse(verdict.judge(stage({"log_contains": "942100"}), answer, lambda number: True).passed)


class RulesTest(unittest.TestCase):
    def test_levels_are_those_of_the_parts_of_a_file(self):
        with tempfile.TemporaryDirectory() as directory:
            folder = pathlib.Path(directory, "rules")
            folder.mkdir()
            (folder / "a.conf").write_text(
                'SecRule TX:EXECUTING_PARANOIA_LEVEL "@lt 1" "id:1"\nSecRule A "@rx b" \\\n    "id:2,\\\n    deny"\n'
                'SecRule TX:EXECUTING_PARANOIA_LEVEL "@lt 2" "id:3"\n#SecRule A b "id:4"\nSecRule A b "id:5"\n')
            (folder / "b.conf").write_text('SecRule A b "id:6"\n')
            self.assertEqual(rules.levels_of_rules(directory), {1: 1, 2: 1, 3: 1, 5: 2, 6: 1})


class AnswerTest(unittest.TestCase):
    def test_a_response_ends_by_its_length(self):
        self.assertFalse(subjects.is_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", False))
        self.assertFalse(subjects.is_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", False))
        self.assertTrue(subjects.is_answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", False))
        self.assertTrue(subjects.is_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", True))
        self.assertTrue(subjects.is_answer(b"HTTP/1.1 304 Not Modified\r\n\r\n", False))

    def test_rules_of_an_access_log(self):
        self.assertEqual(subjects.matched_rules({"rules": [{"id": 1, "data": "a"}, {"id": 2}]}), ({1, 2}, "a "))
        self.assertEqual(subjects.matched_rules({}), (frozenset(), ""))


if __name__ == "__main__":
    unittest.main()
