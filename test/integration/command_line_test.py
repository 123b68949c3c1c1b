"""The command line: what it takes, and how it says what is wrong with it (README.md, "Flags")."""

import os
import signal
import socket
import subprocess

import harness


class MistakeTest(harness.EdgeTest):
    """A mistake is one line on standard error that names the flag, and exit status 2."""

    def check(self, *flags, names, status=2):
        edge = self.launch_edge(*flags)
        self.assertEqual(edge.wait_exit(), status, edge.log)
        lines = [line for line in edge.log.splitlines() if line.strip()]
        if status == 2:
            self.assertEqual(len(lines), 1, edge.log)
        for name in [names] if isinstance(names, str) else names:
            self.assertIn(name, lines[-1])
        self.assertEqual(edge.output, "")

    def test_unknown_flag(self):
        self.check("--no_such_flag=1", names="no_such_flag")

    def test_argument_that_is_no_flag(self):
        self.check("extra", names="extra")

    def test_flag_without_a_value(self):
        self.check("--listen", names="listen")

    def test_bad_values_are_named_with_what_was_found(self):
        for flag, value in (
            ("listen", "http://127.0.0.1:99999"), ("listen", "gopher://127.0.0.1:80"), ("listen", "127.0.0.1"),
            ("listen", ""), ("upstream", "127.0.0.1:80"),
            ("upstream", "http://"), ("upstream", "http://127.0.0.1:0"), ("upstream", "ftp://127.0.0.1:80"),
            ("upstream", "http://127.0.0.1:80/path"), ("cores", "none"), ("cores", "0"), ("cores", "-1"),
            ("cores", "3-1"), ("cores", "9999"), ("header_timeout", "soon"), ("header_timeout", "-1s"),
            ("idle_timeout", "5"), ("ring_entries", "many"), ("ring_entries", "0"), ("buffers", "0"),
            ("buffer_size", "-4096"), ("max_connections", "0"), ("admin", "nonsense"), ("drain_timeout", "1 fortnight"),
            ("body_buffer_size", "16383"),
            ("tls_cert", "/nonexistent/cert.pem"),
        ):
            with self.subTest(flag=flag, value=value):
                flags = [f"--{flag}={value}"]
                if flag == "tls_cert":
                    flags.append("--tls_key=/nonexistent/key.pem")
                if flag != "listen":
                    flags.insert(0, "--listen=http://127.0.0.1:0")
                if flag != "admin":
                    flags.append("--admin=")
                self.check(*flags, names=[flag, value] if value else flag)

    def test_https_upstream_is_refused(self):
        self.check("--listen=http://127.0.0.1:0", "--admin=", "--upstream=https://127.0.0.1:443",
                   names=["upstream", "https://127.0.0.1:443"])

    def test_certificate_without_key(self):
        certificate = self.directory / "cert.pem"
        certificate.write_text("nothing")
        self.check("--listen=https://127.0.0.1:0", "--admin=", f"--tls_cert={certificate}", names="tls_")

    def test_file_that_is_no_certificate(self):
        certificate = self.directory / "cert.pem"
        certificate.write_text("nothing")
        self.check("--listen=https://127.0.0.1:0", "--admin=", f"--tls_cert={certificate}", f"--tls_key={certificate}",
                   names=["tls_", str(certificate)])

    def test_port_that_is_taken_is_exit_1(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            self.check(f"--listen=http://{address}", "--admin=", names=address, status=1)
            self.check("--listen=http://127.0.0.1:0", f"--admin={address}", names=address, status=1)


class ConfigurationFileTest(harness.EdgeTest):
    """--config: YAML in which every flag is a key, and a flag given overrides its key."""

    def write(self, text):
        path = self.directory / "edge.yaml"
        path.write_text(text)
        return path

    def test_keys_are_flags_and_flags_override_them(self):
        first, second = self.start_raw_origin(), self.start_raw_origin()
        path = self.write(f"# a comment\nlisten:\n  - http://127.0.0.1:0\n  - https://127.0.0.1:0\n"
                          f"upstream: {first.url}\ncores: 1\nadmin: 127.0.0.1:0\nidle_timeout: 5s\n")
        edge = self.launch_edge(f"--config={path}").wait_ready()
        self.assertEqual(harness.get(edge.port).status, 200)
        self.assertEqual(len(first.requests), 1)
        edge = self.launch_edge(f"--config={path}", f"--upstream={second.url}").wait_ready()
        self.assertEqual(harness.get(edge.port).status, 200)
        self.assertEqual((len(first.requests), len(second.requests)), (1, 1))

    def test_mistakes_name_file_line_and_key(self):
        for text, names in (
            ("listen: http://127.0.0.1:0\nno_such_key: 1\n", (":2", "no_such_key")),
            ("listen: http://127.0.0.1:0\n\nidle_timeout: soon\n", (":3", "idle_timeout", "soon")),
            ("listen: http://127.0.0.1:0\nlisten: http://127.0.0.1:1\n", (":2", "listen")),
            ("listen: [http://127.0.0.1:0\n", (":",)),
            ("- listen\n", (":1",)),
        ):
            with self.subTest(text=text):
                path = self.write(text)
                edge = self.launch_edge(f"--config={path}", "--admin=")
                self.assertEqual(edge.wait_exit(), 2, edge.log)
                self.assertEqual(len(edge.log.splitlines()), 1, edge.log)
                for name in (str(path), *names):
                    self.assertIn(name, edge.log)

    def test_missing_file_is_named(self):
        edge = self.launch_edge("--config=/nonexistent/edge.yaml")
        self.assertEqual(edge.wait_exit(), 2)
        self.assertIn("/nonexistent/edge.yaml", edge.log)


class ReloadTest(harness.EdgeTest):
    """SIGHUP reads certificates again and opens the log anew; no connection notices."""

    def make_certificate(self, name):
        subprocess.run(
            [harness.find_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", self.directory / "key.pem", "-out",
             self.directory / "cert.pem"], check=True, capture_output=True)

    def start(self):
        self.make_certificate("first.example")
        return self.start_edge(f"--tls_cert={self.directory}/cert.pem", f"--tls_key={self.directory}/key.pem", cores="2")

    def test_new_certificate_is_used_and_open_connections_stay(self):
        edge = self.start()
        client = self.connect(edge.tls_port, tls=True)
        self.make_certificate("second.example")
        edge.signal(signal.SIGHUP)
        harness.wait_until(lambda: "second.example" in harness.openssl_s_client(edge.tls_port), "the new certificate")
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(client.read_response().status, 200)

    def test_old_certificate_stays_when_the_new_one_is_broken(self):
        edge = self.start()
        (self.directory / "cert.pem").write_text("broken")
        edge.signal(signal.SIGHUP)
        harness.wait_until(lambda: "cert.pem" in edge.log.split("edge: ready")[1], "a line about it in the log")
        self.assertIn("first.example", harness.openssl_s_client(edge.tls_port))

    def test_rotated_log_is_opened_anew(self):
        path = self.directory / "access.log"
        edge = self.start_edge(f"--access_log={path}")
        harness.get(edge.port, "/before")
        harness.wait_until(lambda: "/before" in path.read_text(), "the first line")
        path.rename(self.directory / "access.log.1")
        edge.signal(signal.SIGHUP)
        harness.wait_until(path.exists, "a new log")
        harness.get(edge.port, "/after")
        harness.wait_until(lambda: "/after" in path.read_text(), "the second line")


class StartTest(harness.EdgeTest):
    def test_log_says_what_edge_is_doing(self):
        origin = self.start_raw_origin()
        edge = self.start_edge(upstream=origin.url)
        self.assertIn(f"listening on http://127.0.0.1:{edge.port}", edge.log)
        self.assertIn(f"listening on https://127.0.0.1:{edge.tls_port}", edge.log)
        self.assertIn(f"admin on http://127.0.0.1:{edge.admin_port}", edge.log)
        self.assertIn(f"127.0.0.1:{origin.port}", edge.log)
        self.assertRegex(edge.log, r"(?i)CPU")
        self.assertRegex(edge.log, r"(?i)memory")
        self.assertLess(len(edge.log.splitlines()), 20)

    def test_port_0_is_one_port_for_all_workers(self):
        edge = self.start_edge(cores="2")
        self.assertEqual(len(edge.listeners), 2)
        for _ in range(20):
            self.assertEqual(harness.get(edge.port).status, 200)

    def test_all_interfaces_are_listened_on_when_no_host_is_given(self):
        edge = self.start_edge(listen="http://:0")
        self.assertEqual(harness.get(edge.port).status, 200)
        if os.path.exists("/proc/net/if_inet6") and "00000000000000000000000000000001" in open("/proc/net/if_inet6").read():
            with harness.connect(edge.port, host="::1") as client:
                client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                self.assertEqual(client.read_response().status, 200)

    def test_address_without_scheme_is_https(self):
        edge = self.start_edge(listen="127.0.0.1:0")
        self.assertEqual(harness.curl(f"https://127.0.0.1:{edge.tls_port}/").status, 200)

    def test_certificate_and_key_are_used(self):
        certificate, key = self.directory / "cert.pem", self.directory / "key.pem"
        subprocess.run(
            [harness.find_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
             "/CN=given.example", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        edge = self.start_edge(f"--tls_cert={certificate}", f"--tls_key={key}")
        self.assertIn("given.example", harness.openssl_s_client(edge.tls_port))

    def test_the_least_of_everything_is_enough_to_serve(self):
        edge = self.start_edge(
            "--buffer_size=1024", "--buffers=16", "--body_buffer_size=16384", "--body_buffers=8", "--ring_entries=64",
            "--cq_entries=128", "--max_connections=1", upstream=self.start_raw_origin().url)
        self.assertEqual(harness.get(edge.port).status, 200)
        self.assertEqual(harness.get(edge.port, fields=f"X-Long: {'x' * 7000}\r\n").status, 200)
        self.assertEqual(harness.get(edge.port, "/" + "x" * 7999).status, 200)

    def test_admin_can_be_off(self):
        edge = self.start_edge(admin="")
        self.assertIsNone(edge.admin_port)
        self.assertEqual(harness.get(edge.port).status, 200)

    def test_relative_paths_are_those_of_the_directory_where_bazel_was_called(self):
        environment = dict(os.environ, BUILD_WORKING_DIRECTORY=str(self.directory))
        edge = self.start_edge("--access_log=relative.log", env=environment)
        harness.get(edge.port)
        harness.wait_until(lambda: (self.directory / "relative.log").exists(), "the log file")

    def test_check_reports_on_a_good_configuration_and_ends_with_0(self):
        edge = self.launch_edge("--listen=http://127.0.0.1:0", "--admin=127.0.0.1:0", "--check")
        self.assertEqual(edge.wait_exit(), 0, edge.log)
        self.assertRegex(edge.log + edge.output, r"(?i)kernel|io_uring")

    def test_check_of_a_mistake_ends_with_2(self):
        edge = self.launch_edge("--listen=http://127.0.0.1:0", "--upstream=nonsense", "--check")
        self.assertEqual(edge.wait_exit(), 2, edge.log)

    def test_version_and_help_end_with_0(self):
        for flag in ("--help",):
            edge = self.launch_edge(flag)
            self.assertEqual(edge.wait_exit(), 0, edge.log)
            self.assertIn("--upstream", edge.log + edge.output)


if __name__ == "__main__":
    harness.main()
