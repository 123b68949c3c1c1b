"""An edge before light_origin, with inspection or without, for tools/bench_waf.

Its worker has core A. Its inspection threads run at nice 10 (the pool sees to that), on core A too or, if `apart`, also on core
B. Load generator and origin are on core B with real-time priority where that is allowed, so that what they measure is not
how long they waited for that core themselves. Edge has normal priority, since its threads' priorities are part of what is
measured, but in a session of its own that the scheduler prefers to what else the machine does, if autogroups are on.
"""

import pathlib
import shutil

import edge_metrics
import peers

# Compiling the Core Rule Set takes seconds of CPU, and more on a busy machine.
START_TIMEOUT_S = 60


class Bench:
    """What all measurements of one run share."""

    def __init__(self, edge, light, cores, apart, directory):
        self.edge, self.light, self.directory = edge, light, pathlib.Path(directory)
        self.edge_core, self.far_core = cores
        self.apart = apart
        self.origin = peers.Origin("light", f"{light}/light_origin", self.far_core, directory)

    def placement(self):
        pool = f"cores {self.edge_core} and {self.far_core}" if self.apart else f"core {self.edge_core} as well"
        return (f"worker on core {self.edge_core}, inspection threads at nice 10 on {pool}; load generator and origin on "
                f"core {self.far_core}")

    def start(self, *flags):
        return Edge(self, flags)


class Edge:
    """A started edge; a context that ends it."""

    def __init__(self, bench, flags):
        directory = bench.directory / "edge"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        self.port, self.admin_port = peers.free_port(), peers.free_port()
        core = bench.edge_core
        command = [bench.edge, f"--listen=http://127.0.0.1:{self.port}", f"--upstream=http://127.0.0.1:{bench.origin.port}",
                   f"--admin=127.0.0.1:{self.admin_port}", f"--cores={core}-{core}", *flags]
        self._server = peers.Server("edge", command, {core, bench.far_core} if bench.apart else {core}, directory,
                                    own_session=True)
        self._server.prefer()
        try:
            self._server.wait_for(lambda: "edge: ready" in self._server.log, "'edge: ready'", START_TIMEOUT_S)
        except RuntimeError:
            self._server.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._server.stop()

    @property
    def pids(self):
        return self._server.pids

    @property
    def log(self):
        return self._server.log

    def metrics(self):
        return edge_metrics.Reading(self.admin_port)
