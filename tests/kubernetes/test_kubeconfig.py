"""kubeconfig as kubectl reads it: each form goes through both, to a server that notes down who asks, and how."""
import base64
import http.server
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from control_plane import Certificates, encoded, find, run  # noqa: E402
from support import MPSYNC, PATIENCE_S, Case  # noqa: E402

PATH = "/apis/coordination.k8s.io/v1/namespaces/default/leases/x"
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy")


class Recorder(http.server.BaseHTTPRequestHandler):
    """Has nothing and allows nothing, and keeps what it was asked."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.refuse(403, "Forbidden")

    def do_GET(self):
        certificate = getattr(self.connection, "getpeercert", lambda: None)() or {}
        told = {name.lower(): self.headers.get_all(name) for name in self.headers
                if name.lower().startswith(("host", "authorization", "impersonate"))}
        self.server.requests.append({"path": self.path, "certificate": certificate.get("subject"), **told})
        self.refuse(404, "NotFound")

    def refuse(self, code, reason):
        body = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Forms(Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="mpsync-kubeconfig-")
        cls.addClassCleanup(shutil.rmtree, cls.shared, True)
        cls.certificates = Certificates(cls.shared)
        cls.server_pair = cls.certificates.sign("server", "/CN=server", "IP:127.0.0.1,DNS:localhost,DNS:cluster.test")
        cls.user_pair = cls.certificates.sign("user", "/O=team/CN=jane")

    def serve(self, tls=True):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
        server.daemon_threads = True
        server.requests = []
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.server_pair)
            context.load_verify_locations(self.certificates.ca)
            context.verify_mode = ssl.CERT_OPTIONAL
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        return server

    def setUp(self):
        super().setUp()
        self.server = self.serve()
        self.environment = {name: value for name, value in os.environ.items()
                            if name not in PROXIES and name != "KUBECONFIG"}
        self.environment["HOME"] = self.folder

    def write(self, text, name="config"):
        path = pathlib.Path(self.folder, name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    def text(self, user="", cluster=None, more=""):
        cluster = cluster if cluster is not None else f"server: {self.server.url}\n    certificate-authority: {self.certificates.ca}"
        return (f"apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: k\n  cluster:\n    {cluster}\n"
                f"contexts:\n- name: c\n  context:\n    cluster: k\n    user: u\nusers:\n- name: u\n  user:\n"
                f"    {user or '{}'}\n{more}")

    def kubectl(self, config, **variables):
        return subprocess.run([find("kubectl"), "get", "--raw", PATH], capture_output=True, text=True, check=False,
                              timeout=PATIENCE_S, env={**self.environment, "KUBECONFIG": config, **variables})

    def ours(self, config, **variables):
        environment = {**self.environment, "KUBECONFIG": config, "MPSYNC_URL": "kubernetes:", **variables}
        return subprocess.run([MPSYNC, "lock", "--wait", "0", "x", "--", "true"], capture_output=True, text=True, check=False,
                              timeout=PATIENCE_S, env=environment)

    def same(self, config, server=None, **variables):
        """Both ask the same server for the same as the same; what they said."""
        server = server or self.server
        server.requests.clear()
        done = self.kubectl(config, **variables)
        theirs = [request for request in server.requests if request["path"] == PATH]
        server.requests.clear()
        done = done.stderr + self.ours(config, **variables).stderr
        ours = [request for request in server.requests if request["path"] == PATH]
        self.assertTrue(theirs, done)
        self.assertTrue(ours, done)
        self.assertEqual(ours[0], theirs[0], done)
        return ours[0]

    def test_who_asks(self):
        certificate, key = self.user_pair
        blanks = self.write(" \tfrom-a-file \n\n", "token")
        literal = base64.encodebytes(pathlib.Path(certificate).read_bytes()).decode().replace("\n", "\n      ").rstrip()
        for user in (
                "token: abc", "username: jane\n    password: secret", f"tokenFile: {blanks}",
                f"token: other\n    tokenFile: {blanks}",
                f"client-certificate: {certificate}\n    client-key: {key}",
                f"client-certificate-data: {encoded(certificate)}\n    client-key-data: {encoded(key)}",
                f"client-certificate-data: |\n      {literal}\n    client-key: {key}",
                "token: first\n    token: second",
                "token: abc\n    extensions: []",
                "token: abc\n    as: \"system:serviceaccount:ns:nobody\"",
                "token: abc\n    as: jane\n    as-uid: \"17\"\n    as-groups: [one, \"two words\"]\n"
                "    as-user-extra:\n      scopes: [a, b]\n      \"example.com/Key\": [c]"):
            with self.subTest(user=user):
                self.same(self.write(self.text(user)))

    def plugin(self, status, name="plugin"):
        """Notes down what it is told, in a file of whoever asks, and prints a credential."""
        credential = json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status})
        plugin = self.write(f"""#!/bin/sh
printf '%s\\n' "$# $1 $A" "$KUBERNETES_EXEC_INFO" > {self.folder}/info
cat <<'END'
{credential}
END
""", name)
        os.chmod(plugin, 0o755)
        return ("exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: ./plugin\n"
                "      interactiveMode: {mode}\n      provideClusterInfo: {told}\n      installHint: none\n"
                "      args: [\"a b\"]\n      env: [{{name: A, value: \"x y\"}}]")

    def told(self):
        """What the plugin noted down."""
        path = pathlib.Path(self.folder, "info")
        words, info = path.read_text().split("\n", 1)
        path.unlink()
        return words, json.loads(info)

    def test_what_a_plugin_is_told(self):
        """Of the cluster, with the text of its authority, whichever way that is named; and what it says is used."""
        ca = self.certificates.ca
        certificate, key = (pathlib.Path(path).read_text() for path in self.user_pair)
        extension = "extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: x, list: [a, 'b']}}]"
        clusters = (f"certificate-authority: {ca}", f"certificate-authority-data: {encoded(ca)}",
                    f"certificate-authority: {ca}\n    tls-server-name: cluster.test",
                    f"certificate-authority: {ca}\n    {extension}", f"certificate-authority: {ca}\n    disable-compression: true")
        for status in ({"token": "abc"}, {"clientCertificateData": certificate, "clientKeyData": key},
                       {"token": "abc", "clientCertificateData": certificate, "clientKeyData": key}):
            text = self.plugin(status)
            for mode, told, cluster in [("Never", "true", each) for each in clusters] + [
                    ("IfAvailable", "true", clusters[0]), ("Never", "false", clusters[0])]:
                with self.subTest(status=list(status), mode=mode, cluster=cluster):
                    config = self.write(self.text(text.format(mode=mode, told=told), f"server: {self.server.url}\n    {cluster}"))
                    self.server.requests.clear()
                    self.kubectl(config)
                    theirs = self.told(), self.server.requests[-1]
                    self.server.requests.clear()
                    done = self.ours(config)
                    self.assertTrue(self.server.requests, done.stderr)
                    self.assertEqual((self.told(), self.server.requests[0]), theirs)

    def test_which_of_several_credentials(self):
        certificate, key = self.user_pair
        plugin = self.plugin({"token": "of-the-plugin"}).format(mode="Never", told="false")
        for user in (f"token: abc\n    {plugin}", f"username: a\n    password: b\n    {plugin}",
                     f"token: abc\n    client-certificate: {certificate}\n    client-key: {key}",
                     f"{plugin}\n    client-certificate: {certificate}\n    client-key: {key}",
                     f"{plugin}\n    as: nobody",
                     "username: jane"):
            with self.subTest(user=user):
                self.same(self.write(self.text(user)))

    def test_what_kubectl_refuses_is_refused_with_a_sentence(self):
        certificate, key = self.user_pair
        always = self.plugin({"token": "abc"}).format(mode="Always", told="false")
        ca = f"certificate-authority: {self.certificates.ca}"
        for user, cluster, words in (
                (always, ca, "interactiveMode"),
                ("exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}", ca, "no command"),
                ("exec: {command: ./plugin, interactiveMode: Never}", ca, "apiVersion"),
                ("exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: ./plugin}", ca, "v1alpha1"),
                ("auth-provider: {name: gcp}", ca, "auth-provider"),
                ("token: a\n    username: b\n    password: c", ca, "more than one"),
                (f"client-certificate: {certificate}", ca, "client-key"),
                (f"client-certificate: {certificate}\n    client-certificate-data: {encoded(certificate)}\n"
                 f"    client-key: {key}", ca, "both"),
                (f"client-certificate: /no/such\n    client-key: {key}", ca, "/no/such"),
                (f"client-certificate: {certificate}\n    client-key: /no/such", ca, "/no/such"),
                ("tokenFile: /no/such", ca, "/no/such"),
                ("token: a", "certificate-authority: /no/such", "/no/such"),
                ("token: a", "certificate-authority-data: '%%'", "base64")):
            with self.subTest(user=user, cluster=cluster):
                config = self.write(self.text(user, f"server: {self.server.url}\n    {cluster}"))
                for ask in (self.kubectl, self.ours):
                    self.server.requests.clear()
                    done = ask(config)
                    self.assertNotEqual(done.returncode, 0, ask)
                    self.assertEqual([request for request in self.server.requests if request["path"] == PATH], [], ask)
                self.assertIn(words, done.stderr)

    def test_impersonation_is_sent(self):
        asked = self.same(self.write(self.text("token: abc\n    as: nobody\n    as-groups: [g]")))
        self.assertEqual((asked["impersonate-user"], asked["impersonate-group"]), (["nobody"], ["g"]))

    def test_what_is_not_understood_of_a_user_is_refused(self):
        for user, words in (("token: abc\n    as-someone: x", "as-someone"), ("token: abc\n    as-groups: [a]", "whom"),
                            ("token: abc\n    as: [a]", "whom"), ("token: abc\n    as: a\n    as-groups: a", "one line"),
                            ("token: abc\n    as: \"a\\r\\nAuthorization: b\"", "one line")):
            done = self.ours(self.write(self.text(user)))
            self.assertIn(done.returncode, (122, 125), user)
            self.assertEqual(self.server.requests, [])
            self.assertIn(words, done.stderr)

    def test_where(self):
        ca = self.certificates.ca
        upper = self.server.url.replace("https", "HTTPS")
        for cluster in (
                f"server: {upper}\n    certificate-authority: {ca}",
                f"server: {self.server.url}/\n    certificate-authority: {ca}",
                f"server: {self.server.url}\n    certificate-authority-data: {encoded(ca)}",
                f"server: {self.server.url}\n    certificate-authority: {ca}\n    tls-server-name: cluster.test",
                f"server: {self.server.url.replace('127.0.0.1', 'localhost')}\n    certificate-authority: {ca}",
                f"<<: {{server: {self.server.url}}}\n    certificate-authority: {ca}",
                f"<<: [{{server: {self.server.url}}}, {{server: 'https://127.0.0.1:1'}}]\n    certificate-authority: {ca}"):
            with self.subTest(cluster=cluster):
                self.same(self.write(self.text("token: abc", cluster)))
        plain = self.serve(tls=False)
        self.same(self.write(self.text("username: a\n    password: b", f"server: {plain.url}")), plain)

    def test_anchors_and_thousands_of_contexts(self):
        many = "".join(f"- name: c{i}\n  context: {{cluster: k{i}, user: u{i}, namespace: n{i}}}\n" for i in range(6000))
        text = self.text("token: abc").replace("contexts:\n", f"contexts:\n{many}")
        self.same(self.write(text + "".join(f"- name: u{i}\n  user: {{token: t{i}}}\n" for i in range(6000))))
        self.same(self.write("x: &k {server: '%s'}\n" % self.server.url + self.text(
            "token: abc", f"<<: *k\n    certificate-authority: {self.certificates.ca}")))

    def test_several_files(self):
        empty, comment = self.write("", "empty"), self.write("# nothing\n", "comment")
        first = self.write(self.text("token: first"), "first")
        second = self.write(self.text("token: second").replace("current-context: c", "current-context: other"), "second")
        of_both = self.write(self.text("as: nobody\n    client-certificate: /no/such"), "of_both")
        for listed in (f"{first}:{of_both}", f"{empty}:{first}", f"{first}:{second}", f"{self.folder}/no:{comment}::{first}:"):
            with self.subTest(listed=listed):
                self.same(listed)

    def test_paths_are_relative_to_their_file(self):
        for source, name in zip((self.certificates.ca, *self.user_pair), ("ca", "crt", "key")):
            self.write(pathlib.Path(source).read_text(), f"sub/{name}")
        self.same(self.write(self.text("client-certificate: crt\n    client-key: ./key",
                                       f"server: {self.server.url}\n    certificate-authority: ../sub/ca"), "sub/config"))

    def test_plugins(self):
        plugin = self.write("#!/bin/sh\necho '{\"apiVersion\":\"client.authentication.k8s.io/v1\","
                            "\"kind\":\"ExecCredential\",\"status\":{\"token\":\"'$A-$1'\"}}'\n", "plugin")
        os.chmod(plugin, 0o755)
        self.same(self.write(self.text(
            "exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: ./plugin\n      args: [one]\n"
            "      interactiveMode: Never\n      env: [{name: A, value: b}]")), A="inherited")

    def test_proxies(self):
        """What the environment names is used as kubectl uses it: not for this very machine, nor for what is excepted."""
        proxy = self.serve(tls=False)
        away = self.write(self.text("username: a\n    password: b", "server: http://cluster.test:81"), "away")
        here = self.write(self.text("token: abc"), "here")
        named = self.write(self.text("username: a\n    password: b",
                                     f"server: http://cluster.test:81\n    proxy-url: {proxy.url}"), "named")
        for config, variables in ((away, {"HTTP_PROXY": proxy.url}), (away, {"http_proxy": proxy.url, "NO_PROXY": "else.test"}),
                                  (named, {}), (named, {"NO_PROXY": "cluster.test"})):
            asked = []
            for ask in (self.kubectl, self.ours):
                proxy.requests.clear()
                done = ask(config, **variables)
                self.assertTrue(proxy.requests, (ask, variables, done.stderr))
                asked.append(proxy.requests[0])
            self.assertEqual(*asked)
            self.assertEqual(asked[0]["path"], f"http://cluster.test:81{PATH}")
        self.same(here, HTTPS_PROXY="http://127.0.0.1:1")

    def test_an_encrypted_key_is_refused_with_a_sentence(self):
        certificate, key = self.user_pair
        run("openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", f"{self.folder}/locked")
        for user in (f"client-key: {self.folder}/locked", f"client-key-data: {encoded(self.folder + '/locked')}"):
            config = self.write(self.text(f"client-certificate: {certificate}\n    {user}"))
            asked = subprocess.run(["script", "-qec", f"{MPSYNC} lock --wait 0 x -- true", "/dev/null"], capture_output=True, text=True,
                                   stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=False,
                                   env={**self.environment, "KUBECONFIG": config, "MPSYNC_URL": "kubernetes:"})
            self.assertIn("encrypted", asked.stdout)
            self.assertNotIn("pass phrase:", asked.stdout)

    def test_an_authority_that_is_named_is_trusted_alone(self):
        """The system's own folder trusts the server; the kubeconfig names another authority."""
        other = f"{self.folder}/other.crt"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=another authority", "-keyout", f"{self.folder}/other.key", "-out", other)
        system = pathlib.Path(self.folder, "system")
        system.mkdir()
        shutil.copy(self.certificates.ca, system / "ca.pem")
        run("openssl", "rehash", str(system))
        for cluster in (f"certificate-authority: {other}", f"certificate-authority-data: {encoded(other)}"):
            config = self.write(self.text("token: secret", f"server: {self.server.url}\n    {cluster}"))
            script = f"mount --bind {system} /etc/ssl/certs && exec {MPSYNC} lock --wait 0 x -- true"
            done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False,
                                  timeout=PATIENCE_S, env={**self.environment, "KUBECONFIG": config, "MPSYNC_URL": "kubernetes:"})
            self.assertIn("certificates", done.stderr)
            self.assertEqual(self.server.requests, [])
