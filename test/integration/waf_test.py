"""Inspection of requests through the whole proxy: what rules deny never reaches an origin, what passes arrives unchanged,
and what cannot be inspected goes the way that its policy says."""

import concurrent.futures
import hashlib
import json
import threading

import harness

RULES = r"""
SecRule ARGS "@contains evil" "id:1,phase:2,deny,status:403,msg:'an evil argument',severity:2"
SecRule REQUEST_HEADERS:X-Where "@streq elsewhere" "id:2,phase:1,redirect:'https://example.test/denied',status:302"
SecRule REQUEST_HEADERS:X-Where "@streq nowhere" "id:3,phase:1,drop"
SecRule REQUEST_BODY "@contains evil" "id:4,phase:2,deny,status:406"
"""
# No automaton can decide about a look-ahead, so each argument costs pcre2 as much as its limit of matches allows.
SLOW_RULES = r"""
SecRule ARGS:/^slow/ "@rx ^(?:(?:a+)+)+(?=c)b$" "id:9,phase:2,deny"
"""
SLOW_TARGET = "/?" + "&".join(f"slow{n}={'a' * 40}b" for n in range(100))
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


def digest(body):
    return hashlib.sha256(body).hexdigest().encode()


def answer_with_digest(request):
    return harness.ok(request, digest(request.body))


class WafTest(harness.EdgeTest):
    def start(self, *flags, rules=RULES, mode="block", origin=None, **options):
        path = self.directory / "rules.conf"
        path.write_text(rules)
        self.rules_path = path
        self.origin = origin or self.start_raw_origin(harness.serve(answer_with_digest))
        # A busy machine is to decide nothing; a flag that is given twice counts as given last.
        self.edge = self.start_edge(f"--waf={mode}", f"--waf_rules={path}", "--access_log=-", "--waf_deadline=100s", *flags,
                                    upstream=self.origin.url, **options)
        return self.edge

    def post(self, client, body, fields=FORM, chunked=False, target="/form"):
        if chunked:
            framing = "Transfer-Encoding: chunked\r\n"
            pieces = [body[at:at + 700] for at in range(0, len(body), 700)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-End: yes\r\n\r\n"
        else:
            framing = f"Content-Length: {len(body)}\r\n"
        client.send(f"POST {target} HTTP/1.1\r\nHost: a\r\n{framing}{fields}\r\n".encode() + body)
        return client.read_response("POST")

    def verdicts(self, mode="block"):
        found = {}
        metrics = self.edge.metrics()
        for verdict in ("allow", "block", "shed", "timeout", "oversize"):
            count = metrics.value("edge_waf_verdicts_total", mode=mode, verdict=verdict)
            if count:
                found[verdict] = count
        return found

    def waf_lines(self, count):
        """The lines of what rules found, and those of the requests, when there are `count` of both together."""
        lines = self.edge.access_log(count)
        return [line for line in lines if "waf" in line], [line for line in lines if "waf" not in line]

    # --- Block

    def test_what_a_rule_denies_never_reaches_the_origin_and_the_log_says_why(self):
        for placement in ("pool", "inline"):
            with self.subTest(placement):
                edge = self.start(f"--waf_placement={placement}")
                denied = harness.get(edge.port, "/?q=so+evil")
                self.assertEqual(denied.status, 403)
                self.assertIn("edge; error=http_request_denied", denied.fields.get("proxy-status"))
                passed = harness.get(edge.port, "/?q=so+good", tls=False)
                self.assertEqual(passed.status, 200)
                self.assertEqual(harness.get(edge.tls_port, "/?q=evil", tls=True).status, 403)
                self.assertEqual([request.target for request in self.origin.requests], ["/?q=so+good"])
                self.assertEqual(self.verdicts(), {"allow": 1, "block": 2})
                found, requests = self.waf_lines(5)
                self.assertEqual([line["waf"]["verdict"] for line in found], ["block", "block"])
                rule = found[0]["waf"]["rules"][0]
                self.assertEqual((rule["id"], rule["variable"], rule["msg"], rule["severity"]),
                                 (1, "ARGS:q", "an evil argument", 2))
                self.assertIn("evil", rule["matched"])
                self.assertEqual(found[0]["request_id"], requests[0]["request_id"])
                self.assertEqual([(line["status"], line["reason"], line["inspection"]) for line in requests],
                                 [(403, "waf.block", "block"), (200, "", "allow"), (403, "waf.block", "block")])

    def test_a_rule_may_redirect_or_drop(self):
        edge = self.start()
        redirected = harness.get(edge.port, "/", fields="X-Where: elsewhere\r\n")
        self.assertEqual((redirected.status, redirected.fields.get("location")), (302, "https://example.test/denied"))
        client = self.connect(edge.port)
        client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Where: nowhere\r\n\r\n")
        client.expect_closed()
        self.assertEqual(self.origin.requests, [])

    def test_a_body_is_inspected_whole_before_any_of_it_is_forwarded(self):
        edge = self.start()
        for chunked in (False, True):
            with self.subTest(chunked=chunked), self.connect(edge.port) as client:
                good = b"a=" + b"x" * 50_000 + b"&b=fine"
                response = self.post(client, good, chunked=chunked)
                self.assertEqual((response.status, response.body), (200, digest(good)))
                if chunked:
                    self.assertEqual(self.origin.requests[-1].trailers.get("x-end"), "yes")
                empty = self.post(client, b"", chunked=chunked)
                self.assertEqual((empty.status, empty.body), (200, digest(b"")))
                before = len(self.origin.requests)
                denied = self.post(client, good + b"&c=evil", chunked=chunked)
                self.assertEqual(denied.status, 403)
                # The connection goes on behind it.
                self.assertEqual(self.post(client, good, chunked=chunked).status, 200)
                self.assertEqual(len(self.origin.requests), before + 1)

    def test_an_empty_body_in_chunks_with_the_longest_trailers_and_head_arrives(self):
        # The end of the body and its trailers do not fit behind such a head: they wait until that is sent.
        edge = self.start()
        trailers = f"X-End: {'t' * 1900}\r\n"
        for bytes_of_head in range(3600, 6200, 200):
            with self.subTest(bytes_of_head), self.connect(edge.port) as client:
                client.send(f"POST /form HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-Pad: {'p' * bytes_of_head}\r\n"
                            f"\r\n0\r\n{trailers}\r\n")
                self.assertEqual(client.read_response("POST").status, 200)
                self.assertEqual(self.origin.requests[-1].trailers.get("x-end"), "t" * 1900)

    def test_trailers_are_inspected_like_fields(self):
        edge = self.start()
        with self.connect(edge.port) as client:
            client.send("POST /form HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Where: elsewhere\r\n\r\n")
            # Phase 1 has seen the head when they come; it is run with them.
            self.assertEqual(client.read_response("POST").status, 302)
        self.assertEqual(self.origin.requests, [])

    def test_a_redirect_with_bytes_of_the_request_cannot_write_fields(self):
        edge = self.start(rules="SecRule ARGS:u \"@rx .\" \"id:1,phase:2,redirect:'https://a.test/?u=%{MATCHED_VAR}'\"")
        response = harness.get(edge.port, "/?u=x%0d%0aSet-Cookie:%20a=b")
        self.assertEqual(response.status, 302)
        self.assertNotIn("set-cookie", response.fields)
        self.assertEqual(response.fields.get("location"), "https://a.test/?u=x%0d%0aSet-Cookie:%20a=b")

    def test_more_arguments_than_are_inspected_are_oversize(self):
        many = "/?" + "a&" * 1500 + "q=evil"
        for policy, status in (("pass", 200), ("reject", 413)):
            with self.subTest(policy):
                edge = self.start(f"--waf_oversize={policy}")
                self.assertEqual(harness.get(edge.port, many).status, status)
                self.assertEqual(self.verdicts(), {"oversize": 1})

    def test_pipelined_requests_are_answered_in_order(self):
        edge = self.start()
        with self.connect(edge.port) as client:
            targets = ["/?n=1", "/?n=evil", "/?n=3", "/?n=evil", "/?n=5"]
            client.send("".join(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n" for target in targets))
            self.assertEqual([client.read_response().status for _ in targets], [200, 403, 200, 403, 200])
        self.assertEqual([request.target for request in self.origin.requests], ["/?n=1", "/?n=3", "/?n=5"])

    def test_a_client_that_waits_for_leave_gets_it_from_edge(self):
        edge = self.start()
        with self.connect(edge.port) as client:
            client.send("POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nExpect: 100-continue\r\n" + FORM + "\r\n")
            self.assertEqual(client.read_exact(len(b"HTTP/1.1 100 Continue\r\n\r\n")), b"HTTP/1.1 100 Continue\r\n\r\n")
            self.assertEqual(self.origin.requests, [])
            client.send("a=evil")
            self.assertEqual(client.read_response("POST").status, 403)
        self.assertEqual(self.origin.requests, [])

    def test_a_client_that_does_not_send_its_body_is_timed_out(self):
        edge = self.start("--request_body_timeout=200ms")
        with self.connect(edge.port) as client:
            client.send("POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n" + FORM + "\r\na=e")
            self.assertEqual(client.read_response("POST").status, 408)
        self.assertEqual(self.origin.requests, [])

    # --- Oversize

    def test_of_a_longer_body_the_beginning_is_inspected_and_the_rest_follows_the_verdict(self):
        edge = self.start("--waf_body_bytes_max=1000")
        for chunked in (False, True):
            with self.subTest(chunked=chunked), self.connect(edge.port) as client:
                body = b"a=" + b"x" * 300_000 + b"evil"
                response = self.post(client, body, chunked=chunked)
                self.assertEqual((response.status, response.body), (200, digest(body)))
                before = len(self.origin.requests)
                denied = self.post(client, b"a=evil" + b"x" * 100_000, chunked=chunked)
                self.assertEqual(denied.status, 403)
                self.assertEqual(len(self.origin.requests), before)
        self.assertEqual(self.verdicts(), {"oversize": 2, "block": 2})

    def test_a_longer_body_is_rejected_if_the_policy_says_so(self):
        edge = self.start("--waf_body_bytes_max=1000", "--waf_oversize=reject")
        with self.connect(edge.port) as client:
            self.assertEqual(self.post(client, b"a=" + b"x" * 999).status, 413)
            self.assertEqual(self.post(client, b"a=" + b"x" * 998).status, 200)
        self.assertEqual(len(self.origin.requests), 1)

    # --- Detect

    def test_in_detect_mode_everything_arrives_and_the_log_says_what_would_have_been(self):
        edge = self.start(mode="detect")
        body = b"a=evil&b=" + b"x" * 50_000
        with self.connect(edge.port) as client:
            for chunked in (False, True):
                response = self.post(client, body, chunked=chunked)
                self.assertEqual((response.status, response.body), (200, digest(body)))
        self.assertEqual(harness.get(edge.port, "/?q=evil").status, 200)
        harness.wait_until(lambda: self.verdicts("detect").get("block") == 3, "three verdicts")
        found, requests = self.waf_lines(6)
        self.assertEqual([line["waf"]["mode"] for line in found], ["detect"] * 3)
        self.assertEqual({line["request_id"] for line in found}, {line["request_id"] for line in requests})

    # --- Overload

    def start_slow_request(self):
        """One that keeps the only inspection thread busy for long, and the only credit."""
        slow = self.connect(self.edge.port)
        slow.send(f"GET {SLOW_TARGET} HTTP/1.1\r\nHost: a\r\n\r\n")
        harness.wait_until(lambda: self.edge.metrics().value("edge_waf_credits", mode="block") == 0, "no credit left")
        return slow

    def test_without_a_credit_the_policy_decides_at_once(self):
        for policy, status in (("reject", 503), ("pass", 200)):
            with self.subTest(policy):
                edge = self.start("--waf_queue=1", f"--waf_overload={policy}", rules=SLOW_RULES)
                slow = self.start_slow_request()
                self.assertEqual(harness.get(edge.port, "/other").status, status)
                slow.read_response()
                self.assertEqual(self.verdicts()["shed"], 1)

    def test_a_client_that_leaves_costs_nothing_but_the_rest_of_its_inspection(self):
        edge = self.start("--waf_queue=1", rules=SLOW_RULES)
        self.start_slow_request().reset()
        harness.wait_until(lambda: edge.metrics().value("edge_exchanges_active", worker="0") == 0, "no exchange left")
        harness.wait_until(lambda: edge.metrics().value("edge_waf_credits", mode="block") == 1, "the credit back")
        self.assertEqual(harness.get(edge.port, "/").status, 200)

    def test_a_request_that_takes_too_long_is_a_timeout(self):
        for policy, status in (("reject", 503), ("pass", 200)):
            with self.subTest(policy):
                edge = self.start("--waf_deadline=1ms", f"--waf_overload={policy}", rules=SLOW_RULES)
                self.assertEqual(harness.get(edge.port, SLOW_TARGET).status, status)
                self.assertEqual(self.verdicts(), {"timeout": 1})

    def test_who_blocked_the_loop_is_said(self):
        edge = self.start("--waf_placement=inline", rules=SLOW_RULES)
        harness.get(edge.port, SLOW_TARGET)
        harness.wait_until(lambda: f"ms inspecting GET {SLOW_TARGET[:200]} (request " in edge.log, "who it was")
        self.assertIn("worker 0: one turn took ", edge.log)

    def test_a_drain_waits_for_the_verdict(self):
        edge = self.start("--waf_queue=1", rules=SLOW_RULES)
        slow = self.start_slow_request()
        edge.sigterm()
        self.assertEqual(slow.read_response().status, 200)
        self.assertEqual(edge.wait_exit(), 0)

    # --- Rules

    def test_mistakes_in_rules_are_one_line_and_end_it_with_status_2(self):
        for rules, said in (
            ("SecRule ARGS \"@rx (\" \"id:1,deny\"", "rules.conf:1: "),
            ("\n\nSecRule NOTHING \"@rx a\" \"id:1,deny\"", "rules.conf:3: "),
            ("SecNonsense On", "rules.conf:1: "),
        ):
            with self.subTest(rules):
                path = self.directory / "rules.conf"
                path.write_text(rules)
                edge = self.launch_edge("--waf=block", f"--waf_rules={path}", "--listen=http://127.0.0.1:0", "--admin=")
                self.assertEqual(edge.wait_exit(), 2)
                lines = [line for line in edge.log.splitlines() if "RLIMIT_NOFILE" not in line]
                self.assertEqual(len(lines), 1, edge.log)
                self.assertIn(said, lines[0])

    def test_a_reload_takes_new_rules_and_keeps_the_old_ones_if_there_is_a_mistake(self):
        edge = self.start()
        self.rules_path.write_text("SecRule ARGS \"@nonsense a\" \"id:1,deny\"")
        edge.signal(1)
        harness.wait_until(lambda: "SIGHUP: the old rules stay: " in edge.log, "the mistake in the log")
        self.assertEqual(harness.get(edge.port, "/?q=evil").status, 403)
        self.assertEqual(edge.metrics().value("edge_reloads_failed_total"), 1)
        self.rules_path.write_text("SecRule ARGS \"@contains worse\" \"id:1,phase:2,deny,status:403\"")
        edge.signal(1)
        harness.wait_until(lambda: "SIGHUP: 1 rules" in edge.log, "the new rules")
        harness.wait_until(lambda: harness.get(edge.port, "/?q=worse").status == 403, "the new rules at work")
        self.assertEqual(harness.get(edge.port, "/?q=evil").status, 200)

    def test_reloads_under_load_lose_no_request(self):
        edge = self.start()
        stop = threading.Event()

        def load(_):
            statuses = set()
            with harness.connect(edge.port) as client:
                while not stop.is_set():
                    client.send("GET /?q=good HTTP/1.1\r\nHost: a\r\n\r\nGET /?q=evil HTTP/1.1\r\nHost: a\r\n\r\n")
                    statuses.add((client.read_response().status, client.read_response().status))
            return statuses

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            loads = [pool.submit(load, n) for n in range(4)]
            try:
                for n in range(1, 11):
                    edge.signal(1)
                    harness.wait_until(lambda: edge.log.count("SIGHUP: 4 rules") == n, f"reload {n}")
            finally:
                stop.set()
            for statuses in loads:
                self.assertEqual(statuses.result(), {(200, 403)})

    def test_the_built_in_rules_protect_a_newcomer(self):
        edge = self.start_edge("--waf=block", "--waf_deadline=100s")
        for target in ("/?q=%3Cscript%3Ealert(1)%3C/script%3E", "/?id=1%27%20OR%20%271%27=%271", "/?f=../../etc/passwd",
                       "/?x=${jndi:ldap://a/b}", "/?c=;cat%20/etc/passwd"):
            with self.subTest(target):
                self.assertEqual(harness.get(edge.port, target).status, 403)
        for target in ("/", "/search?q=how+to+select+a+union+from+many&page=2", "/a/b/c.html?name=O%27Brien",
                       "/?text=a+%3C+b,+and+more"):
            with self.subTest(target):
                self.assertEqual(harness.get(edge.port, target).status, 200)

    def test_every_line_of_the_log_is_whole_whatever_matched(self):
        edge = self.start()
        for number in range(20):
            harness.get(edge.port, "/?q=evil" + "%01%ff%22%5c" * 20 * number)
        for line in edge.access_log(40):
            self.assertIsInstance(json.dumps(line), str)


if __name__ == "__main__":
    harness.main()
