"""Edge's /metrics: a reading, and what happened between two of them."""

import math
import re
import socket


class Reading:
    """All samples of one scrape: {(name, frozenset of labels): value}."""

    def __init__(self, admin_port):
        with socket.create_connection(("127.0.0.1", admin_port), 5) as admin:
            admin.sendall(b"GET /metrics HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n")
            text = b"".join(iter(lambda: admin.recv(65_536), b"")).decode()
        self._samples = {}
        for name, labels, value in re.findall(r"^(\w+)(?:\{([^}]*)\})? (\S+)$", text, re.M):
            self._samples[name, frozenset(re.findall(r'(\w+)="([^"]*)"', labels))] = float(value)

    def value(self, name, **labels):
        """The sum over all samples that have these labels; 0 if there is none."""
        wanted = set(labels.items())
        return sum(value for (found, has), value in self._samples.items() if found == name and wanted <= has)

    def bounds(self, name):
        """Upper bounds of a histogram's buckets, as they are spelt, ascending."""
        found = {dict(has)["le"] for sample, has in self._samples if sample == f"{name}_bucket"}
        return sorted(found, key=float)


class Between:
    """Differences of two readings."""

    def __init__(self, before, after):
        self._before, self._after = before, after

    def value(self, name, **labels):
        return self._after.value(name, **labels) - self._before.value(name, **labels)

    def mean(self, histogram):
        count = self.value(f"{histogram}_count")
        return self.value(f"{histogram}_sum") / count if count else math.nan

    def percentile(self, histogram, share):
        """Of a histogram in seconds, within a bucket in proportion; inf: beyond the last bound."""
        wanted = share * self.value(f"{histogram}_count")
        low = below = 0
        for bound in self._after.bounds(histogram):
            until = self.value(f"{histogram}_bucket", le=bound)
            if until >= wanted and until > below:
                return low + (float(bound) - low) * (wanted - below) / (until - below)
            low, below = float(bound), until
        return math.nan

    def highest_bound(self, histogram):
        """The upper bound of the highest bucket that something fell into: the longest took at most that."""
        below, highest = 0, 0.0
        for bound in self._after.bounds(histogram):
            until = self.value(f"{histogram}_bucket", le=bound)
            if until > below:
                highest = float(bound)
            below = until
        return highest
