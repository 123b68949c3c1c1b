"""The Prometheus text format, version 0.0.4, parsed strictly.

parse() takes a whole exposition and raises FormatError for what the format forbids: unknown or misplaced comments,
families that are not contiguous, counters that are negative, duplicate series, histograms whose buckets shrink, lack
+Inf or disagree with _count. So each scrape of a test is also a check of /metrics.
"""

import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL}(?:,|(?=\}})))*)\}})? (\S+)( -?[0-9]+)?")
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}


class FormatError(Exception):
    pass


class Metrics:
    """One scrape: {(name, ((label, value), ...)): number}."""

    def __init__(self, samples, types):
        self.samples = samples
        self.types = types

    def value(self, name, **labels):
        """The sum of all series of `name` that have these labels; KeyError if there is none."""
        found = [
            number
            for (sample, pairs), number in self.samples.items()
            if sample == name and labels.items() <= dict(pairs).items()
        ]
        if not found:
            raise KeyError(f"no series {name}{labels or ''} in {sorted({key[0] for key in self.samples})}")
        return sum(found)

    def get(self, name, default=0, **labels):
        try:
            return self.value(name, **labels)
        except KeyError:
            return default

    def by_label(self, name, label):
        """{value of the label: sum of the series with it}."""
        result = {}
        for (sample, pairs), number in self.samples.items():
            if sample == name and label in dict(pairs):
                key = dict(pairs)[label]
                result[key] = result.get(key, 0) + number
        return result


def _number(text):
    if text in ("+Inf", "-Inf", "NaN"):
        return float(text.replace("Inf", "inf"))
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        raise FormatError(f"not a number: {text!r}")
    return float(text)


def parse(text):
    if not text.endswith("\n"):
        raise FormatError("the last line has no line feed")
    samples, types, helped, closed = {}, {}, set(), set()
    family = None

    def enter(name):
        nonlocal family
        if name != family:
            if name in closed:
                raise FormatError(f"the lines of {name} are not together")
            if family is not None:
                closed.add(family)
            family = name

    for line in text[:-1].split("\n"):
        if not line:
            continue
        if line.startswith("# HELP ") or line.startswith("# TYPE "):
            words = line.split(" ", 3)
            if len(words) < 3 or not re.fullmatch(NAME, words[2]):
                raise FormatError(f"bad comment: {line!r}")
            enter(words[2])
            if words[1] == "HELP":
                if words[2] in helped:
                    raise FormatError(f"second HELP of {words[2]}")
                helped.add(words[2])
            else:
                if words[2] in types or len(words) < 4 or words[3] not in TYPES:
                    raise FormatError(f"bad or second TYPE: {line!r}")
                types[words[2]] = words[3]
            continue
        if line.startswith("#"):
            continue
        match = SAMPLE.fullmatch(line)
        if not match:
            raise FormatError(f"not a sample: {line!r}")
        name, labels, number = match[1], match[2] or "", _number(match[5])
        pairs = re.findall(LABEL, labels)
        if len({key for key, _ in pairs}) != len(pairs):
            raise FormatError(f"a label stands twice: {line!r}")
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        owner = base if types.get(base) in ("histogram", "summary") else name
        if owner not in types:
            raise FormatError(f"{name} has no TYPE before it")
        enter(owner)
        if types[owner] == "counter" and not number >= 0:
            raise FormatError(f"a counter below zero: {line!r}")
        key = (name, tuple(sorted(pairs)))
        if key in samples:
            raise FormatError(f"second sample of {key}")
        samples[key] = number
    for name, kind in types.items():
        if kind == "histogram":
            _check_histogram(name, samples)
    return Metrics(samples, types)


def _check_histogram(name, samples):
    buckets = {}
    for (sample, pairs), number in samples.items():
        if sample == name + "_bucket":
            labels = dict(pairs)
            if "le" not in labels:
                raise FormatError(f"a bucket of {name} without le")
            bound = _number(labels.pop("le"))
            buckets.setdefault(tuple(sorted(labels.items())), []).append((bound, number))
    for labels, series in buckets.items():
        series.sort()
        counts = [count for _, count in series]
        if counts != sorted(counts):
            raise FormatError(f"buckets of {name}{labels} shrink: {series}")
        if series[-1][0] != math.inf:
            raise FormatError(f"{name}{labels} has no +Inf bucket")
        if samples.get((name + "_count", labels)) != counts[-1]:
            raise FormatError(f"{name}_count{labels} is not the +Inf bucket")
        if (name + "_sum", labels) not in samples:
            raise FormatError(f"{name}{labels} has no sum")
