"""CPU of an inspected request, edge beside nginx with libmodsecurity, both with the Core Rule Set at paranoia level 1.

    edge           inspection in the pool
    edge inline    on the loop
    edge off       without inspection
    nginx          with libmodsecurity, as Debian packages them
    nginx off      the same with `modsecurity off`

Each server, with one worker, answers the same number of the same requests. What it takes is the CPU time of all its threads by
the scheduler's clock, divided by that number.
"""

import contextlib
import json
import random
import statistics

import edge_metrics
import measure
import peers
import streams

EDGE_FLAGS = {
    "edge": ("--waf=block",),
    "edge inline": ("--waf=block", "--waf_placement=inline"),
    "edge off": ("--waf=off",),
}
NGINX = {"nginx": "on", "nginx off": "off"}
RATIO_MIN = 10
CONNECTIONS = 4
WARM_UP_REQUESTS = 50
BODY_BYTES_MAX = 262_144
# All of the body is inspected by both.
RULES = """\
Include {modsecurity}/modsecurity.conf-recommended
SecRuleEngine On
SecAuditEngine Off
SecResponseBodyAccess Off
SecRequestBodyLimit {body_bytes_max}
SecRequestBodyNoFilesLimit {body_bytes_max}
Include {crs}/crs-setup.conf.example
Include {crs}/rules/*.conf
"""

NGINX_CONFIGURATION = """\
user root;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; accept_mutex off; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_buffer_size {body_bytes_max};
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  upstream origin {{
    server 127.0.0.1:{origin};
    keepalive 64; keepalive_requests 1000000000;
  }}
  modsecurity {modsecurity};
  modsecurity_rules_file {rules};
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
    }}
  }}
}}
"""

ATTACK_TARGET = "/bytes/1024?q=%3Cscript%3Ealert(1)%3C/script%3E&id=1%27%20OR%201=1--"

WORDS = ("the garden behind our house has an old apple tree and two green benches where we sit in summer when the "
         "evening is warm and quiet while children play near the gate and somebody reads a long letter from a friend").split()


def text(source, length):
    """Plain words of exactly so many bytes."""
    words = " ".join(source.choice(WORDS) for _ in range(length))
    # No space at the end, where some transformations would take it off.
    return words[:length - 1] + "n"


def form(fields, length):
    """A form of about so many bytes, as a browser encodes it."""
    source = random.Random(fields)
    each = length // fields
    pairs = []
    for number in range(fields):
        name = f"field_{number}"
        pairs.append(f"{name}={text(source, each - len(name) - 2).replace(' ', '+')}")
    return "&".join(pairs).encode()


def document(length):
    """A list of about 60 orders, in JSON."""
    source = random.Random(1)
    orders = []
    while len(json.dumps(orders)) < length - 1700:
        orders.append({"id": 1000 + len(orders), "name": text(source, 24), "price": 19.5, "tags": [text(source, 8)],
                       "comment": text(source, 1500)})
    orders.append({"comment": ""})
    orders[-1]["comment"] = text(source, length - len(json.dumps(orders)))
    return json.dumps(orders).encode()


def write_requests(directory):
    """{what it is: (file, how many times as many as given are sent)}"""
    form_type = "application/x-www-form-urlencoded"
    return {
        "GET": (streams.write_request(directory / "get.http", "/bytes/1024?page=2&sort=name&q=blue+garden+chair"), 2),
        "form, 6 fields": (streams.write_request(directory / "form6.http", "/bytes/1024", form(6, 2048), form_type), 1),
        "form, 40 fields": (streams.write_request(directory / "form40.http", "/bytes/1024", form(40, 2048), form_type), 1),
        "JSON, 100 KiB": (streams.write_request(directory / "json.http", "/bytes/1024", document(102_400),
                                                "application/json"), 0.2),
    }


def write_rules(directory):
    deps = peers.REPOSITORY / ".deps"
    for name in ("crs/crs-setup.conf.example", "modsecurity/modsecurity.conf-recommended"):
        if not (deps / name).exists():
            raise measure.Failed(f".deps/{name} is missing: run tools/setup")
    path = directory / "crs.conf"
    path.write_text(RULES.format(modsecurity=(deps / "modsecurity").resolve(), crs=(deps / "crs").resolve(),
                                 body_bytes_max=BODY_BYTES_MAX))
    return path


class NginxServer:
    """nginx, with or without inspection; the same attributes as waf_edge.Edge."""

    def __init__(self, bench, modsecurity, rules):
        self.port = peers.free_port()
        directory = bench.directory / "nginx"
        directory.mkdir(exist_ok=True)
        configuration = directory / "nginx.conf"
        configuration.write_text(NGINX_CONFIGURATION.format(
            directory=directory, origin=bench.origin.port, port=self.port, modsecurity=modsecurity, rules=rules,
            body_bytes_max=BODY_BYTES_MAX))
        binary = peers.PROGRAMS / "nginx-modsecurity"
        if not binary.exists():
            raise measure.Failed("nginx with libmodsecurity is missing: run tools/setup --bench")
        self._server = peers.Server("nginx", [binary, "-p", directory, "-c", configuration, "-e", "stderr"],
                                    bench.edge_core, directory, own_session=True)
        # As edge is: who is interrupted more has colder caches.
        self._server.prefer()
        try:
            self._server.wait_for_port(self.port)
        except RuntimeError as error:
            self._server.stop()
            raise measure.Failed(str(error)) from None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._server.stop()

    @property
    def pids(self):
        return self._server.pids


@contextlib.contextmanager
def started(arm, bench, rules, threads):
    if arm in NGINX:
        with NginxServer(bench, NGINX[arm], rules) as server:
            yield server
    else:
        flags = () if "off" in arm else (f"--waf_rules={rules}", f"--waf_threads={threads}", "--waf_deadline=10s",
                                         f"--waf_body_bytes_max={BODY_BYTES_MAX}")
        with bench.start(*EDGE_FLAGS[arm], *flags) as server:
            yield server


def cost_ms(arm, server, bench, path, count):
    """CPU of one such request."""
    def send(number):
        stream = streams.Stream("one", path, connections=CONNECTIONS, count=number, end_s=600)
        return streams.Run(server.port, bench.far_core, [stream]).finish()["one"]

    send(WARM_UP_REQUESTS)
    before = server.metrics() if arm in EDGE_FLAGS else None
    cpu = measure.cpu_seconds(server.pids)[0]
    samples = send(count)
    cpu = measure.cpu_seconds(server.pids)[0] - cpu
    if streams.not_served(samples):
        raise measure.Failed(f"{arm}: not every benign request was served: {streams.statuses(samples)}")
    if before and "off" not in arm:
        allowed = edge_metrics.Between(before, server.metrics()).value("edge_waf_verdicts_total", verdict="allow")
        if allowed != count:
            raise measure.Failed(f"{arm}: of {count} requests {allowed:.0f} were inspected whole and allowed")
    return cpu / count * 1e3


def check_inspects(arm, server, bench):
    """An attack is denied by who is to inspect, and by nobody else."""
    path = streams.write_request(bench.directory / "attack.http", ATTACK_TARGET)
    samples = streams.Run(server.port, bench.far_core, [streams.Stream("attack", path, count=1, end_s=60)]).finish()
    status, wanted = samples["attack"][0].status, 200 if "off" in arm else 403
    if status != wanted:
        raise measure.Failed(f"{arm} answers an attack with {status}, not {wanted}")


def measure_cost(arguments, bench):
    """Prints the table; returns (what missed its goal, all samples)."""
    rules, requests = write_rules(bench.directory), write_requests(bench.directory)
    arms = [*EDGE_FLAGS, *NGINX]
    order = random.Random(arguments.seed)
    samples = {what: {arm: [] for arm in arms} for what in requests}
    for _ in range(arguments.cost_rounds):
        for arm in order.sample(arms, len(arms)):
            with started(arm, bench, rules, arguments.waf_threads) as server:
                check_inspects(arm, server, bench)
                for what, (path, times) in requests.items():
                    samples[what][arm].append(cost_ms(arm, server, bench, path, round(arguments.requests * times)))
    print(f"CPU ms of a request, Core Rule Set 3.3.7 at paranoia level 1; {arguments.cost_rounds} rounds, order shuffled; "
          f"{', '.join(f'{round(arguments.requests * times)} {what}' for what, (_, times) in requests.items())} in each; "
          "median [least-most]")
    missed = []
    for what, found in samples.items():
        path = requests[what][0]
        medians = {arm: statistics.median(values) for arm, values in found.items()}
        ratio = medians["nginx"] / medians["edge"]
        print(f"  {what} ({path.stat().st_size} bytes): nginx takes {ratio:.1f} times edge's; of inspection alone "
              f"{ratio_alone(medians):.1f} times")
        for arm, values in found.items():
            print(f"    {arm:12} {medians[arm]:8.3f} [{min(values):.3f}-{max(values):.3f}]", flush=True)
        if ratio < RATIO_MIN:
            missed.append(f"{what}: edge takes 1/{ratio:.1f} of nginx's CPU, not 1/{RATIO_MIN}")
    return missed, samples


def ratio_alone(medians):
    """The same without what either takes for a request that is not inspected."""
    return (medians["nginx"] - medians["nginx off"]) / max(medians["edge"] - medians["edge off"], 1e-6)
