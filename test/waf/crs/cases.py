"""The Core Rule Set's own regression cases: what each sends, byte for byte, and what it expects.

The format is that of go-ftw 0.4, with which CRS 3.3.7 tests itself: a case has stages, a stage a request and the ids that
must be or must not be in the log behind it. Requests are made as go-ftw makes them, with three differences that change
nothing of what is tested: header fields stay in the file's order, CRLF in multipart bodies stays what it is, and templates
are not expanded, because none of the cases has one.
"""

import base64
import json
import pathlib
import re
import subprocess
import urllib.parse

FORM = "application/x-www-form-urlencoded"


# What a log says of a part of a multipart body that some cases take for an answer instead of a rule.
PART_ERROR = "Invalid part header (contains invalid character)"


class Logged:
    """What of a log a pattern asks for: rules by their ids, which all engines log, and hardly ever a text."""

    def __init__(self, pattern):
        self.ids = rule_ids(pattern)
        self.text = PART_ERROR if re.escape(PART_ERROR).replace("\\ ", " ") in (pattern or "") else ""

    def __bool__(self):
        return bool(self.ids)


class Stage:
    """One request (`data`, bytes) and what is expected of it."""

    def __init__(self, stage):
        self.data = request_bytes(stage["input"])
        output = stage["output"]
        self.statuses = [int(status) for status in output.get("status") or []]
        self.error = output.get("expect_error") == "true"
        self.any_of = Logged(output.get("log_contains"))
        self.none_of = Logged(output.get("no_log_contains"))
        if not (self.statuses or self.error or self.any_of or self.none_of):
            raise ValueError(f"nothing is expected: {output}")


class Case:
    def __init__(self, test):
        self.title = test["test_title"]
        self.description = " ".join((test.get("desc") or "").split())
        self.stages = [Stage(stage["stage"]) for stage in test["stages"]]


def read_cases(yaml_json, folder):
    """The cases in the YAML files below `folder` that their authors have not disabled."""
    paths = sorted(str(path) for path in pathlib.Path(folder).rglob("*.yaml"))
    if not paths:
        raise FileNotFoundError(f"{folder}: no *.yaml in it: run tools/setup")
    printed = subprocess.run([yaml_json, *paths], check=True, stdout=subprocess.PIPE).stdout
    files = [file["document"] for file in json.loads(printed.decode())]
    return [Case(test) for file in files if file["meta"].get("enabled") != "false" for test in file["tests"]]


def rule_ids(pattern):
    """The ids in a pattern like 'id "942100"'."""
    ids = {int(number) for number in re.findall(r"\b9\d{5}\b", pattern or "")}
    if pattern and not ids:
        raise ValueError(f"no rule's id in {pattern!r}")
    return ids


def request_bytes(given):
    if given.get("encoded_request"):
        return base64.b64decode(given["encoded_request"])
    if given.get("raw_request"):
        return given["raw_request"].encode()
    fields = {name: value or "" for name, value in (given.get("headers") or {}).items()}
    data = given.get("data") or ""
    complete = given.get("stop_magic") != "true"
    if data and complete:
        fields.setdefault("Content-Type", FORM)
        if fields["Content-Type"] == FORM:
            data = encode_form(data)
    body = data.encode()
    if fields.get("Content-Type", "").startswith("multipart/form-data;"):
        body = re.sub(rb"\r?\n", b"\r\n", body)
    if complete:
        fields.setdefault("Connection", "close")
        if body:
            fields.setdefault("Content-Length", str(len(body)))
    lines = [" ".join((given.get("method", "GET"), given.get("uri", "/"), given.get("version", "HTTP/1.1")))]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def encode_form(data):
    """Encodes names and values, unless decoding would change something or fail: then they are encoded already."""
    if "%" in data or "+" in data:
        return data
    pairs = data.split("&")
    if pairs[-1] == "":
        pairs.pop()

    def encode(pair):
        name, equals, value = pair.partition("=")
        return urllib.parse.quote_plus(name, safe="~") + equals + urllib.parse.quote_plus(value, safe="~")

    return "&".join(map(encode, pairs))
