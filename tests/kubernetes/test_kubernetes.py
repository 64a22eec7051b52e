"""Leases on a real kube-apiserver: what the store promises, who else takes part, and what goes wrong."""
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import signal
import socket
import socketserver
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import test_holders  # noqa: E402
from control_plane import LEASES, KubernetesCase, encoded, find  # noqa: E402
from old_clients import OldClients  # noqa: E402
from promises import Promises  # noqa: E402
from support import MPSYNC, PATIENCE_S, ROOT, free_port  # noqa: E402

PREFIX = "metaparticle.io/"
VERBS = ["get", "list", "watch", "create", "patch", "delete"]


def rules(verbs):
    return [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs}]


def shipped_verbs():
    for line in (ROOT / "k8s/base/role.yaml").read_text().splitlines():
        if line.strip().startswith("verbs:"):
            return line.split("[")[1].rstrip("]").split(", ")
    raise AssertionError("no verbs")


class OldClientsOnLeases(OldClients, KubernetesCase):
    pass


class Store(Promises, KubernetesCase):
    """What every store promises."""
    shortest_ttl = "3s"

    def test_turns_are_taken_in_order_and_tokens_rise(self):
        first, second, third = (self.probe(self.url) for _ in range(3))
        first.send("acquire x -1")
        tokens = [self.token_of(first.expect("held x"))]
        for place, waiter in enumerate((second, third), 1):
            waiter.send("acquire x -1")
            waiter.expect("waiting x")
            self.until(lambda: len(self.places("x")) == place)
        for holder, following in ((first, second), (second, third)):
            holder.send("release x")
            holder.expect("released x")
            tokens.append(self.token_of(following.expect("held x")))
        self.assertEqual(tokens, sorted(set(tokens)))

    def places(self, name):
        annotations = (self.lease(name) or {"metadata": {}})["metadata"].get("annotations", {})
        return [place for place in annotations.get(PREFIX + "next", "").split(",") if place]

    def test_a_lock_leaves_no_lease_and_an_election_keeps_its_own(self):
        self.mpsync("lock", "x", "--", "true", url=self.url, check=0)
        self.assertIsNone(self.lease("x"))
        self.mpsync("elect", "--once", "y", "--", "true", url=self.url, check=0)
        self.assertNotIn("holderIdentity", self.lease("y")["spec"])

    def test_a_try_leaves_nothing_behind(self):
        holder, rival = self.probe(self.url), self.probe(self.url, ttl="2m")  # a third of it for an answer
        holder.send("acquire x -1")
        holder.expect("held x")
        rival.send("acquire x 0")
        rival.expect("busy x")
        self.assertEqual(self.places("x"), [])

    def test_cancelled_waiter_gives_its_place_back(self):
        holder, waiter = self.probe(self.url), self.probe(self.url)
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        self.until(lambda: len(self.places("x")) == 1)
        waiter.send("cancel x")
        waiter.expect("cancelled x")
        self.until(lambda: not self.places("x"))

    def test_stopped_holder_says_no_at_once(self):
        test_holders.Standstill.first_answer_is_no(self, self.url, "3s")

    def test_name_that_is_no_object_name_stands_beside_the_hash(self):
        name = "Grüße an/alle"
        holder = self.start([MPSYNC, "lock", name, "--", "sh", "-c", "echo held; exec sleep 600"],
                            {"MPSYNC_URL": self.url})
        holder.expect("held")
        items = self.plane.request("GET", LEASES.format(self.namespace))["items"]
        self.assertEqual([item["metadata"]["annotations"][PREFIX + "name"] for item in items], [name])
        self.assertRegex(items[0]["metadata"]["name"], "^mpsync-[0-9a-f]{32}$")
        listed = self.mpsync("ls", "--json", url=self.url, check=0).stdout
        self.assertEqual(json.loads(listed)["metadata"]["name"], name)

    def test_forced_release(self):
        holder, waiter = self.probe(self.url), self.probe(self.url)
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        self.mpsync("release", "--force", "x", url=self.url, check=0)
        self.assertTrue(holder.expect("lost x"))
        waiter.expect("held x")

    def test_an_election_shows_its_leader_and_value(self):
        leader = self.start([MPSYNC, "elect", "--value", "10.0.0.7:80", "x", "--", "sleep", "600"],
                            {"MPSYNC_URL": self.url, "MPSYNC_IDENTITY": "one"})
        self.until(lambda: self.lease("x") and "holderIdentity" in self.lease("x")["spec"])
        shown = json.loads(self.mpsync("ls", "--json", url=self.url, check=0).stdout)
        self.assertEqual((shown["spec"]["owner"], shown["spec"]["value"], shown["spec"]["type"]),
                         ("one", "10.0.0.7:80", "election"))
        leader.signal(signal.SIGTERM)

    def test_a_watch_shows_each_change(self):
        watch = self.start([MPSYNC, "watch", "--json", "x"], {"MPSYNC_URL": self.url})
        holder = self.probe(self.url)
        holder.send("acquire x -1")
        token = self.token_of(holder.expect("held x"))
        while str(token) not in watch.line():
            pass

    def test_ttl_in_whole_seconds_from_three_on(self):
        for ttl, words in (("2s", "least"), ("3500ms", "multiple")):
            done = self.mpsync("lock", "--ttl", ttl, "x", "--", "true", url=self.url, check=125)
            self.assertIn(words, done.stderr)


class Elector(KubernetesCase):
    def test_a_killed_holder_behind_an_elector_is_replaced_by_proof(self):
        first, second = self.elector(self.url), self.elector(self.url)
        holder, waiter = self.probe(first.url), self.probe(second.url)
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        holder.signal(signal.SIGKILL)
        waiter.expect("held x")

    def test_what_an_elector_has_seen_short_waits_need_not_see_again(self):
        """Rule 25: each of them gives up before the ttl is over, and one of them takes over all the same."""
        elector = self.elector(self.url)
        holder = self.probe(self.url, ttl="3s")
        holder.send("acquire x -1")
        holder.expect("held x")
        holder.signal(signal.SIGKILL)
        self.until(lambda: self.mpsync("lock", "--wait", "0", "--ttl", "3s", "x", "--", "true",
                                       url=elector.url).returncode == 0)

    def test_two_electors_are_one_order(self):
        electors = [self.elector(self.url) for _ in range(3)]
        counter = pathlib.Path(self.folder, "counter")
        counter.write_text("0")
        step = f'n=$(cat {counter}); echo $MPSYNC_TOKEN >> {self.folder}/tokens; echo $((n + 1)) > {counter}'
        workers = [self.start(["sh", "-c", f"for i in 1 2 3 4 5; do {MPSYNC} lock x -- sh -c '{step}'; done; echo done"],
                              {"MPSYNC_URL": elector.url}) for elector in electors for _ in range(4)]
        for worker in workers:
            worker.expect("done")
        self.assertEqual(int(counter.read_text()), 60)
        tokens = [int(line) for line in pathlib.Path(self.folder, "tokens").read_text().split()]
        self.assertEqual(tokens, sorted(set(tokens)))


class OtherHands(KubernetesCase):
    """Rules 15 to 24, where they need the real server."""

    def hold(self):
        holder = self.probe(self.url)
        holder.send("acquire x -1")
        self.token = self.token_of(holder.expect("held x"))
        return holder

    def renewed(self):
        """Waits until the Lease is renewed once more."""
        before = self.lease("x")["spec"]["renewTime"]
        self.until(lambda: self.lease("x")["spec"]["renewTime"] != before)

    def test_annotations_of_others_are_kept_and_cost_nothing(self):
        holder = self.hold()
        self.patch("x", {"metadata": {"annotations": {"team": "a"}, "labels": {"app": "b"}}})
        self.renewed()
        holder.send("held x")
        holder.expect("is_held x 1")
        metadata = self.lease("x")["metadata"]
        self.assertEqual((metadata["annotations"]["team"], metadata["labels"]["app"]), ("a", "b"))
        self.assertEqual(metadata["annotations"][PREFIX + "token"].split(":")[1], str(self.token))

    def test_deleted_lease_is_a_loss_and_tokens_still_rise(self):
        holder, waiter = self.hold(), self.probe(self.url)
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        self.delete("x")
        self.assertRegex(holder.expect("lost x"), "^lost x")
        self.assertGreater(self.token_of(waiter.expect("held x")), self.token)

    def test_holder_written_by_hand_takes_it_over(self):
        holder = self.hold()
        self.patch("x", {"spec": {"holderIdentity": "somebody"}})
        holder.expect("lost x")
        self.renewals_stop("somebody")

    def renewals_stop(self, identity):
        self.assertEqual(self.lease("x")["spec"]["holderIdentity"], identity)

    def test_record_without_a_duration_lasts_as_long_as_ours_would(self):
        self.plane.request("POST", LEASES.format(self.namespace), {
            "metadata": {"name": "x"}, "spec": {"holderIdentity": "a"}})
        contender = self.probe(self.url)
        contender.send("acquire x 5000")  # long enough to be answered, and shorter than that
        contender.expect("busy x")
        contender.send("acquire x -1")
        contender.expect("held x")

    def test_a_name_beside_the_hash_that_is_another_is_an_error(self):
        self.mpsync("elect", "--once", "A b", "--", "true", url=self.url, check=0)
        item = self.plane.request("GET", LEASES.format(self.namespace))["items"][0]
        self.patch(item["metadata"]["name"], {"metadata": {"annotations": {PREFIX + "name": "other"}}})
        done = self.mpsync("lock", "A b", "--", "true", url=self.url, check=122)
        self.assertIn("annotation", done.stderr)

    def test_kubectl_shows_who_holds_it(self):
        self.hold()
        shown = self.kubectl("get", "lease", "x", "--no-headers")
        self.assertRegex(shown.stdout, r"^x +\S+_[0-9a-f]{32} +\d+s")


class ClientGo(KubernetesCase):
    """client-go's leader election and this library on one name."""

    def contender(self, identity, lease="15s", renew="10s", retry="500ms"):
        return self.start([find("contender"), self.kubeconfig, self.namespace, "x", identity, lease, renew, retry],
                          stderr=subprocess.DEVNULL)

    def resign(self, contender):
        contender.child.stdin.close()

    def test_they_exclude_each_other_and_hand_over_both_ways(self):
        ours = self.probe(self.url)
        ours.send("acquire x -1")
        ours.expect("held x")
        theirs = self.contender("go")
        theirs.expect("leader")
        theirs_again = self.probe(self.url)
        ours.send("release x")
        ours.expect("released x")
        while theirs.line() != "leads":
            pass
        theirs_again.send("acquire x -1")
        self.assertEqual(theirs_again.line().split()[:2], ["waiting", "x"])
        shown = json.loads(self.mpsync("ls", "--json", url=self.url, check=0).stdout)
        self.assertEqual(shown["spec"]["owner"], "go")
        self.resign(theirs)
        theirs_again.expect("held x")

    def test_a_dead_one_is_replaced_both_ways(self):
        theirs = self.contender("go")
        while theirs.line() != "leads":
            pass
        ours = self.probe(self.url)
        ours.send("acquire x -1")
        ours.expect("waiting x")
        theirs.signal(signal.SIGKILL)
        ours.expect("held x")
        again = self.contender("again")
        again.expect("leader")
        ours.signal(signal.SIGKILL)
        while again.line() != "leads":
            pass
        self.assertEqual(self.lease("x")["spec"]["holderIdentity"], "again")
        self.assertGreater(self.lease("x")["spec"]["leaseTransitions"], 1)


class Outage(KubernetesCase):
    """The API server and its etcd come and go."""

    def restart_server(self):
        self.plane.server.end()
        self.plane.start_server()

    def test_restart_while_it_is_held_and_waited_for(self):
        holder, waiter = self.probe(self.url, ttl="10m"), self.probe(self.url, ttl="10m")
        holder.send("acquire x -1")
        before = self.token_of(holder.expect("held x"))
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        self.restart_server()
        holder.send("held x")
        holder.expect("is_held x 1")
        self.until(self.plane.is_ready)
        holder.send("release x")
        holder.expect("released x")
        self.assertGreater(self.token_of(waiter.expect("held x")), before)

    def test_release_while_the_server_is_away(self):
        holder = self.probe(self.url, ttl="10m")
        holder.send("acquire x -1")
        holder.expect("held x")
        self.plane.server.end()
        holder.send("release x")
        holder.send("held x")
        holder.expect("is_held x 0")
        self.plane.start_server()
        holder.expect("released x")
        self.until(lambda: self.lease("x") is None)

    def test_holder_loses_in_time_when_etcd_stands_still(self):
        holder = self.probe(self.url, ttl="3s")
        holder.send("acquire x -1")
        holder.expect("held x")
        with self.stopped(self.plane.etcd):
            holder.expect("lost x")
            holder.send("held x")
            holder.expect("is_held x 0")
        self.until(self.plane.is_ready)
        again = self.probe(self.url, ttl="3s")
        again.send("acquire x -1")
        again.expect("held x")

    def test_unreachable_server_is_an_error_that_names_it(self):
        done = self.mpsync("lock", "--wait", "0", "x", "--", "true", check=122,
                           url=f"kubernetes:?kubeconfig={self.elsewhere({'server': 'https://127.0.0.1:1'})}")
        self.assertIn("127.0.0.1:1", done.stderr)

    def elsewhere(self, cluster):
        return self.plane.kubeconfig(f"{self.folder}/elsewhere", {}, self.namespace, cluster)

    def test_a_server_that_is_no_api_server(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"<html>hello</html>")

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"kubernetes:?kubeconfig={self.elsewhere({'server': f'http://127.0.0.1:{server.server_port}'})}"
        done = self.mpsync("lock", "x", "--", "true", url=url, check=125)
        self.assertIn("no Kubernetes API server", done.stderr)


class Proxy(socketserver.ThreadingTCPServer):
    """Speaks CONNECT, and counts."""
    allow_reuse_address = daemon_threads = True

    def __init__(self):
        self.connects = 0
        super().__init__(("127.0.0.1", 0), Tunnel)


class Tunnel(socketserver.StreamRequestHandler):
    def handle(self):
        host, port = self.rfile.readline().split()[1].decode().rsplit(":", 1)
        while self.rfile.readline().strip():
            pass
        self.server.connects += 1
        with socket.create_connection((host, int(port))) as there:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=self.pump, args=(there, self.connection), daemon=True)
            back.start()
            self.pump(self.connection, there)
            back.join()

    def pump(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


class Authentication(KubernetesCase):
    """Every way to say who asks, and where."""

    def setUp(self):
        super().setUp()
        self.cluster = {"server": self.plane.url, "certificate-authority": self.plane.certificates.ca}

    def works(self, user, cluster=None, environment=None):
        path = self.plane.kubeconfig(f"{self.folder}/k", user, self.namespace, cluster)
        return self.mpsync("lock", "--wait", "2m", "x", "--", "true", url=f"kubernetes:?kubeconfig={path}", check=0)

    def fails(self, user, words, cluster=None, check=122):
        path = self.plane.kubeconfig(f"{self.folder}/k", user, self.namespace, cluster)
        done = self.mpsync("lock", "x", "--", "true", url=f"kubernetes:?kubeconfig={path}", check=check)
        self.assertIn(words, done.stderr)

    def admin(self):
        certificate, key = self.plane.admin_pair
        return {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}

    def test_inline_certificates(self):
        self.works(self.admin(), {
            "server": self.plane.url, "certificate-authority-data": encoded(self.plane.certificates.ca)})

    def test_paths_relative_to_the_file(self):
        for source, name in zip((self.plane.certificates.ca, *self.plane.admin_pair), ("ca", "crt", "key")):
            pathlib.Path(self.folder, name).write_bytes(pathlib.Path(source).read_bytes())
        self.works({"client-certificate": "crt", "client-key": "key"},
                   {"server": self.plane.url, "certificate-authority": "ca"})

    def test_token(self):
        self.works({"token": self.account(rules=rules(VERBS))})
        self.fails({"token": "wrong"}, "401")

    def test_token_file_is_read_again_as_it_rotates(self):
        path = pathlib.Path(self.folder, "token")
        path.write_text("not yet\n")
        kubeconfig = self.plane.kubeconfig(f"{self.folder}/k", {"tokenFile": str(path)}, self.namespace)
        url = f"kubernetes:?kubeconfig={kubeconfig}"
        self.mpsync("lock", "x", "--", "true", url=url, check=122)
        path.write_text(self.account(rules=rules(VERBS)))
        holder = self.probe(url)
        holder.send("acquire x -1")
        holder.expect("held x")
        # A token that has ended: the one in the file takes its place before the right ends.
        path.write_text(self.account(rules=rules(VERBS)))
        renewed = self.lease("x")["spec"]["renewTime"]
        self.until(lambda: self.lease("x")["spec"]["renewTime"] > renewed)
        holder.send("held x")
        holder.expect("is_held x 1")

    def plugin(self, status, code=0):
        path = pathlib.Path(self.folder, "plugin")
        path.write_text(f"""#!/bin/sh
echo "$KUBERNETES_EXEC_INFO" > {self.folder}/info
echo call >> {self.folder}/calls
cat <<'END'
{json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status})}
END
exit {code}
""")
        path.chmod(0o755)
        return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "args": ["a"],
                         "env": [{"name": "A", "value": "b"}], "interactiveMode": "Never", "provideClusterInfo": True}}

    def test_credential_plugin_with_a_token(self):
        self.works(self.plugin({"token": self.account(rules=rules(VERBS)),
                                "expirationTimestamp": "2099-01-01T00:00:00Z"}))
        info = json.loads(pathlib.Path(self.folder, "info").read_text())
        self.assertEqual(info["spec"]["cluster"]["server"], self.plane.url)
        self.assertEqual(pathlib.Path(self.folder, "calls").read_text(), "call\n")

    def test_credential_that_has_expired_is_asked_for_again(self):
        self.works(self.plugin({"token": self.account(rules=rules(VERBS)),
                                "expirationTimestamp": "2020-01-01T00:00:00Z"}))
        self.assertGreater(pathlib.Path(self.folder, "calls").read_text().count("call"), 1)

    def test_the_next_token_is_asked_for_while_the_old_one_serves(self):
        """A plugin that takes most of a ttl, and whose tokens last for some of them."""
        path = pathlib.Path(self.folder, "plugin")
        path.write_text(f"""#!/bin/sh
[ -e {self.folder}/calls ] && sleep 12
echo call >> {self.folder}/calls
end=$(date -u -d '54 seconds' +%Y-%m-%dT%H:%M:%SZ)
echo '{{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{{' \
    '"token":"{self.account(rules=rules(VERBS))}","expirationTimestamp":"'$end'"}}}}'
""")
        path.chmod(0o755)
        config = self.plane.kubeconfig(f"{self.folder}/k", {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "Never"}}, self.namespace)
        holder = self.probe(f"kubernetes:?kubeconfig={config}")
        holder.send("acquire x -1")
        holder.expect("held x")
        self.until(lambda: pathlib.Path(self.folder, "calls").read_text().count("call") == 2)
        renewed = self.lease("x")["spec"]["renewTime"]
        self.until(lambda: self.lease("x")["spec"]["renewTime"] > renewed)
        holder.send("held x")
        holder.expect("is_held x 1")

    def test_credential_plugin_with_a_certificate(self):
        certificate, key = (pathlib.Path(path).read_text() for path in self.plane.admin_pair)
        self.works(self.plugin({"clientCertificateData": certificate, "clientKeyData": key}))

    def test_credential_plugins_that_fail(self):
        path = self.plane.kubeconfig(f"{self.folder}/k", self.plugin({}, code=3), self.namespace)
        self.assertIn("exit code 3", self.mpsync("ls", url=f"kubernetes:?kubeconfig={path}").stderr)
        self.fails(self.plugin({"nothing": "x"}), "no ExecCredential")
        self.fails({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin",
                             "installHint": "install it"}}, "install it")

    def test_another_name_on_the_certificate(self):
        server = {**self.cluster, "server": self.plane.url.replace("127.0.0.1", "127.0.0.2")}
        self.plane_on_every_address(server)
        self.fails(self.admin(), "certificates", server)
        self.works(self.admin(), {**server, "tls-server-name": "kubernetes.default"})

    def plane_on_every_address(self, server):
        """The API server listens on 127.0.0.1 alone: the other address passes on to it."""
        port = server["server"].rsplit(":", 1)[1]
        relay = self.start(["socat", f"TCP-LISTEN:{port},bind=127.0.0.2,fork,reuseaddr", f"TCP:127.0.0.1:{port}"])

        def answers():
            with socket.create_connection(("127.0.0.2", int(port))):
                return relay.child.poll() is None
        self.until(answers)

    def test_proxy(self):
        with Proxy() as proxy:
            threading.Thread(target=proxy.serve_forever, daemon=True).start()
            self.works(self.admin(), {**self.cluster, "proxy-url": f"http://127.0.0.1:{proxy.server_address[1]}"})
            self.assertGreater(proxy.connects, 0)
            proxy.shutdown()

    def test_unverified_only_where_an_option_says_so(self):
        cluster = {"server": self.plane.url, "insecure-skip-tls-verify": True}
        self.fails(self.admin(), "insecure=yes", cluster, check=125)
        path = self.plane.kubeconfig(f"{self.folder}/k", self.admin(), self.namespace, cluster)
        done = self.mpsync("lock", "x", "--", "true", url=f"kubernetes:?kubeconfig={path}&insecure=yes", check=0)
        self.assertIn("not verified", done.stderr)

    def test_untrusted_server(self):
        self.fails(self.admin(), "certificates", {"server": self.plane.url})

    def test_several_files_are_merged(self):
        users = pathlib.Path(self.folder, "users")
        users.write_text(json.dumps({"users": [{"name": "u", "user": self.admin()}],
                                     "contexts": [{"name": "other", "context": {
                                         "cluster": "c", "user": "u", "namespace": self.namespace}}]}))
        clusters = pathlib.Path(self.folder, "clusters")
        clusters.write_text(json.dumps({"clusters": [{"name": "c", "cluster": self.cluster}]}))
        environment = {**os.environ, "MPSYNC_URL": "kubernetes:", "MPSYNC_CONTEXT": "other",
                       "KUBECONFIG": f"{self.folder}/missing:{users}:{clusters}"}
        subprocess.run([MPSYNC, "lock", "x", "--", "true"], env=environment, check=True, timeout=PATIENCE_S)

    def test_mistakes_in_the_file(self):
        path = pathlib.Path(self.folder, "k")
        for text, words in (("a: [", "no YAML"), ("{}", "current-context"),
                            ("{current-context: a}", "no context \"a\""),
                            ("{current-context: a, contexts: [{name: a, context: {cluster: b}}]}", "no cluster \"b\""),
                            ("{current-context: a, contexts: [{name: a, context: {cluster: b}}], "
                             "clusters: [{name: b, cluster: {server: 'ftp://x'}}]}", "no http or https URL")):
            path.write_text(text)
            done = self.mpsync("lock", "x", "--", "true", url=f"kubernetes:?kubeconfig={path}", check=125)
            self.assertIn(words, done.stderr)
        done = self.mpsync("lock", "x", "--", "true", url="kubernetes:?kubeconfig=/no/such", check=125)
        self.assertIn("/no/such", done.stderr)

    def in_a_pod(self, token, *command):
        """What a pod finds in itself, in a mount namespace of its own."""
        account = pathlib.Path(self.folder, "account")
        account.mkdir()
        if token:
            (account / "token").write_text(token)
        (account / "ca.crt").write_bytes(pathlib.Path(self.plane.certificates.ca).read_bytes())
        (account / "namespace").write_text(self.namespace)
        secrets = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
        script = (f"mount -t tmpfs none /var/run && mkdir -p {secrets} && mount --bind {account} {secrets} && "
                  'exec "$@"')
        host, port = self.plane.url.removeprefix("https://").split(":")
        environment = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", *command], capture_output=True, text=True, timeout=PATIENCE_S,
            env={**environment, "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port,
                 "MPSYNC_URL": "kubernetes:"}, check=False)

    def test_a_pods_own_account(self):
        done = self.in_a_pod(self.account(rules=rules(VERBS)), MPSYNC, "doctor")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_pod_without_a_token_is_told(self):
        done = self.in_a_pod(None, MPSYNC, "lock", "x", "--", "true")
        self.assertEqual(done.returncode, 122, done.stderr)
        self.assertIn("automountServiceAccountToken", done.stderr)


class Permissions(KubernetesCase):
    """The shipped Role is enough, and no verb of it is idle."""

    def test_shipped_role_is_exactly_enough(self):
        self.assertEqual(sorted(shipped_verbs()), sorted(VERBS))
        url = self.url_of(self.account(rules=rules(shipped_verbs())))
        self.mpsync("doctor", url=url, check=0)
        holder, waiter = self.probe(url), self.probe(url)
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        holder.send("release x")
        waiter.expect("held x")
        self.mpsync("ls", url=url, check=0)

    def url_of(self, token):
        path = self.plane.kubeconfig(f"{self.folder}/{abs(hash(token))}", {"token": token}, self.namespace)
        return f"kubernetes:?kubeconfig={path}"

    def test_each_verb_that_is_missing_is_named_at_once(self):
        for number, verb in enumerate(VERBS):
            with self.subTest(verb=verb):
                left = [other for other in VERBS if other != verb]
                url = self.url_of(self.account(f"without-{verb}", rules(left)))
                done = self.mpsync("doctor", url=url)
                self.assertEqual(done.returncode, 122)
                self.assertIn(f"may not {verb} leases", done.stdout + done.stderr)
                self.assertIn(self.namespace, done.stdout + done.stderr)
                if verb in ("get", "create"):
                    done = self.mpsync("lock", f"n{number}", "--", "true", url=url, check=122)
                    self.assertIn(f"cannot {verb} resource", done.stderr)

    def test_who_may_not_watch_is_told_so(self):
        """Observers of one name and of all: they see what is there, and that no change will be heard of."""
        holder = self.probe(self.url)
        holder.send("acquire x -1")
        holder.expect("held x")
        url = self.url_of(self.account("observer", rules([verb for verb in VERBS if verb != "watch"])))
        for arguments in (["watch", "x"], ["ls", "--watch"]):
            watching = self.start(["sh", "-c", 'exec "$0" "$@" 2>&1', MPSYNC, *arguments], {"MPSYNC_URL": url})
            told = watching.line() + watching.line()
            self.assertIn("cannot watch resource", told)
            self.assertIn(" x ", told)

    def test_namespace_that_is_not_there(self):
        done = self.mpsync("lock", "x", "--", "true", check=125,
                           url=f"kubernetes:nowhere?kubeconfig={self.kubeconfig}")
        self.assertIn("nowhere", done.stderr)

    def test_names_of_one_role_are_watched_one_by_one(self):
        """A Role that is limited to names cannot watch the namespace: beyond a few names it goes on singly."""
        names = [f"n{i}" for i in range(7)]
        limited = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": VERBS,
                    "resourceNames": names},
                   {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]}]
        url = self.url_of(self.account(rules=limited))
        holder, waiter = self.probe(url), self.probe(url)
        for name in names:
            holder.send(f"acquire {name} -1")
            holder.expect(f"held {name}")
        for name in names:
            waiter.send(f"acquire {name} -1")
            waiter.expect(f"waiting {name}")
        for name in reversed(names):
            holder.send(f"release {name}")
            holder.expect(f"released {name}")
            waiter.expect(f"held {name}")


class Herd(KubernetesCase):
    """Rule 49 on the real server."""

    def writes(self):
        total = 0
        for line in self.plane.request("GET", "/metrics", parse=False).splitlines():
            if line.startswith("apiserver_request_total{") and 'resource="leases"' in line and \
                    any(f'verb="{verb}"' in line for verb in ("POST", "PATCH", "PUT", "DELETE")):
                total += int(float(line.split()[-1]))
        return total

    def test_thirty_waiters_write_little(self):
        waiters = [self.probe(self.url, ttl="2m") for _ in range(30)]
        holder = self.probe(self.url, ttl="2m")
        holder.send("acquire x -1")
        tokens = [self.token_of(holder.expect("held x"))]
        for waiter in waiters:
            waiter.send("acquire x -1")
            waiter.expect("waiting x")
        before = self.writes()
        holder.send("release x")
        left = list(waiters)
        while left:
            winner = self.next_holder(left)
            left.remove(winner)
            tokens.append(winner.token)
            winner.send("release x")
            winner.expect("released x")
        self.assertEqual(tokens, sorted(set(tokens)))
        self.assertLess(self.writes() - before, 31 * 10)

    def next_holder(self, waiters):
        found = []

        def look():
            for waiter in waiters:
                while not waiter.lines.empty():
                    line = waiter.line()
                    if line.startswith("held"):
                        waiter.token = self.token_of(line)
                        found.append(waiter)
            return found
        self.until(look)
        return found[0]


class Fleet(KubernetesCase):
    def test_a_hundred_electors_over_a_thousand_locks(self):
        """Nobody renews here: the ttl outlasts all of the requests, however slow the machine is."""
        electors = [self.elector(self.url) for _ in range(100)]
        names = [f"lock-{i}" for i in range(1000)]
        for i, name in enumerate(names):
            status, _ = self.http(electors[i % 100].port, "PUT", f"/locks/{name}",
                                  {"holder": f"h{i % 100}", "claim": f"{i + 1:032x}", "ttl": "1h"})
            self.assertEqual(status, 200)
        # Everybody sees everything, and nobody else gets any of it.
        for i, name in enumerate(names):
            other = electors[(i + 37) % 100]
            status, lock = self.http(other.port, "PUT", f"/locks/{name}",
                                     {"holder": "rival", "claim": f"{i + 10 ** 6:032x}", "ttl": "1h"})
            self.assertEqual((status, lock["spec"]["owner"]), (409, f"h{i % 100}"))
        listed = self.mpsync("ls", "--json", url=electors[0].url, check=0).stdout
        self.assertEqual(len(listed.splitlines()), 1000)



class Leader(KubernetesCase):
    """What others see of a leader: the label of its Pod, and Events."""

    def setUp(self):
        super().setUp()
        for name in ("one", "two"):
            self.plane.request("POST", f"/api/v1/namespaces/{self.namespace}/pods", {
                "metadata": {"name": name}, "spec": {"containers": [{"name": "a", "image": "a"}]}})

    def labelled(self):
        items = self.plane.request(
            "GET", f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=leader.metaparticle.io%2Fx%3Dtrue")["items"]
        return [item["metadata"]["name"] for item in items]

    def campaign(self, pod, url=None):
        return self.start(
            [MPSYNC, "elect", "x", "--", "sh", "-c", "echo leads; exec sleep 600"],
            {"MPSYNC_URL": url or self.url, "POD_NAME": pod, "MPSYNC_LABEL_LEADER": "yes",
             "MPSYNC_LEADER_EVENTS": "yes"}, stderr=subprocess.DEVNULL)

    def messages(self):
        events = self.plane.request("GET", f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return sorted(event["message"] for event in events if event["reason"] == "LeaderElection")

    def test_the_label_follows_the_leader_and_is_never_on_two(self):
        one = self.campaign("one")
        one.expect("leads")
        self.until(lambda: self.labelled() == ["one"])
        two = self.campaign("two")
        self.until(lambda: PREFIX + "next" in self.lease("x")["metadata"]["annotations"])
        one.signal(signal.SIGTERM)
        two.expect("leads")
        # It was off before the Lease could pass on.
        self.assertNotIn("one", self.labelled())
        self.until(lambda: self.labelled() == ["two"])
        self.until(lambda: self.messages() == ["one became leader", "one stopped leading", "two became leader"])

    def test_it_is_off_when_the_right_has_ended(self):
        one = self.campaign("one")
        one.expect("leads")
        self.until(lambda: self.labelled() == ["one"])
        self.patch("x", {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600}})
        self.until(lambda: self.labelled() == [])

    def test_it_is_off_before_a_process_ends_that_has_lost(self):
        one = self.start(
            [MPSYNC, "elect", "--once", "x", "--", "sh", "-c", "echo leads; exec sleep 600"],
            {"MPSYNC_URL": self.url, "POD_NAME": "one", "MPSYNC_LABEL_LEADER": "yes", "MPSYNC_LEADER_EVENTS": "yes"},
            stderr=subprocess.DEVNULL)
        one.expect("leads")
        self.until(lambda: self.labelled() == ["one"])
        self.patch("x", {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600}})
        one.child.wait(PATIENCE_S)
        self.assertEqual(self.labelled(), [])
        self.assertIn("one stopped leading", self.messages())

    def test_an_elector_labels_its_pod(self):
        elector = self.labelling_elector()
        leader = self.start([MPSYNC, "elect", "x", "--", "sh", "-c", "echo leads; exec sleep 600"],
                            {"MPSYNC_URL": elector}, stderr=subprocess.DEVNULL)
        leader.expect("leads")
        self.until(lambda: self.labelled() == ["one"])
        leader.signal(signal.SIGTERM)
        self.until(lambda: self.labelled() == [])

    def labelling_elector(self):
        port = free_port()
        self.start([MPSYNC, "elector", "--store", self.url, "--listen", f"127.0.0.1:{port}", "--label-leader"],
                   {"POD_NAME": "one", "POD_UID": "1"}, stderr=subprocess.DEVNULL)
        self.until(lambda: self.http(port, "GET", "/healthz")[0] == 200)
        return f"http://127.0.0.1:{port}"

    def test_a_label_that_a_killed_process_left_goes_when_its_pod_starts_again(self):
        one = self.campaign("one")
        one.expect("leads")
        self.until(lambda: self.labelled() == ["one"])
        one.kill_all()  # nobody takes the label off
        two = self.campaign("two")
        two.expect("leads")
        self.until(lambda: "two" in self.labelled())
        self.assertEqual(sorted(self.labelled()), ["one", "two"])
        self.campaign("one")
        self.until(lambda: self.labelled() == ["two"])

    def test_a_long_name_has_a_label_and_takes_none_from_others(self):
        name = "a" * 80
        elector = self.labelling_elector()
        for election in (name, "x"):
            leader = self.start([MPSYNC, "elect", election, "--", "sh", "-c", "echo leads; exec sleep 600"],
                                {"MPSYNC_URL": elector}, stderr=subprocess.DEVNULL)
            leader.expect("leads")

        def labels():
            metadata = self.plane.request("GET", f"/api/v1/namespaces/{self.namespace}/pods/one")["metadata"]
            return sorted(key.split("/")[1] for key in metadata.get("labels", {}))
        hashed = "mpsync-" + hashlib.sha256(name.encode()).hexdigest()[:32]
        self.until(lambda: labels() == [hashed, "x"])

    def test_a_label_is_put_on_when_it_may_be_and_back_when_it_was_taken_off(self):
        path = self.plane.kubeconfig(f"{self.folder}/k", {"token": self.account(rules=rules(VERBS))}, self.namespace)
        log = open(f"{self.folder}/log", "w+")
        self.addCleanup(log.close)
        one = self.start([MPSYNC, "elect", "x", "--", "sh", "-c", "echo leads; exec sleep 600"],
                         {"MPSYNC_URL": f"kubernetes:?kubeconfig={path}", "POD_NAME": "one",
                          "MPSYNC_LABEL_LEADER": "yes", "MPSYNC_TTL": "2m"}, stderr=log)
        one.expect("leads")
        self.until(lambda: 'cannot patch resource "pods"' in pathlib.Path(log.name).read_text())
        self.account(rules=rules(VERBS) + [{"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}])
        self.until(lambda: self.labelled() == ["one"])
        self.plane.request("PATCH", f"/api/v1/namespaces/{self.namespace}/pods/one",
                           {"metadata": {"labels": {"leader.metaparticle.io/x": None}}})
        self.until(lambda: self.labelled() == ["one"])
        # Each of what failed is told once, however often it was tried: the label, and the look at what was there.
        self.assertLessEqual(pathlib.Path(log.name).read_text().count('cannot patch resource "pods"'), 2)

    def test_without_permission_it_leads_all_the_same(self):
        path = self.plane.kubeconfig(f"{self.folder}/k", {"token": self.account(rules=rules(VERBS))}, self.namespace)
        one = self.campaign("one", url=f"kubernetes:?kubeconfig={path}")
        one.expect("leads")
        one.signal(signal.SIGTERM)
        self.until(lambda: "holderIdentity" not in self.lease("x")["spec"])
        self.assertEqual(self.labelled(), [])

    def test_without_a_pods_name_it_is_an_error(self):
        done = self.mpsync("lock", "x", "--", "true", url=f"{self.url}&label_leader=yes", check=125)
        self.assertIn("POD_NAME", done.stderr)


class Relay(http.server.BaseHTTPRequestHandler):
    """Passes requests on to the API server as its administrator, unless `fault` answers first."""
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if length else None
        fault = self.server.fault(self.command, self.path)
        if fault:
            self.answer(*fault)
            return
        plane = self.server.plane
        connection = http.client.HTTPSConnection("127.0.0.1", plane.port, context=plane.context, timeout=PATIENCE_S)
        connection.request(self.command, self.path, body, {"Content-Type": self.headers.get("Content-Type", "")})
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            self.stream(connection.getresponse())

    def answer(self, status, headers, text):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def stream(self, answer):
        self.send_response(answer.status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while data := answer.read1(65536):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_PATCH = do_DELETE = pass_on

    def log_message(self, *_):
        pass


class Faults(KubernetesCase):
    """What a busy server, or one that has forgotten, answers."""

    def relay(self, fault):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Relay)
        server.daemon_threads = True
        server.plane, server.fault = self.plane, fault
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        path = self.plane.kubeconfig(f"{self.folder}/relay", {}, self.namespace, {
            "server": f"http://127.0.0.1:{server.server_port}"})
        return f"kubernetes:?kubeconfig={path}"

    @staticmethod
    def once(command, part, answer):
        """The fault, for the first request of that kind, and how often there was one."""
        seen = []

        def fault(method, path):
            if method != command or part not in path:
                return None
            seen.append(path)
            return answer if len(seen) == 1 else None
        return fault, seen

    def test_too_many_requests_are_sent_again_after_what_the_server_says(self):
        fault, seen = self.once("POST", "leases", (429, {"Retry-After": "1"}, '{"message":"slow down"}'))
        holder = self.probe(self.relay(fault), ttl="2m")
        holder.send("acquire x -1")
        holder.expect("held x")
        self.assertEqual(len(seen), 2)

    def test_trouble_of_the_server_is_ridden_out(self):
        for status in (500, 502, 503, 504):
            fault, seen = self.once("POST", "leases", (status, {}, "trouble"))
            holder = self.probe(self.relay(fault), ttl="2m")
            holder.send(f"acquire x{status} -1")
            holder.expect(f"held x{status}")
            self.assertEqual(len(seen), 2)

    def test_a_watch_from_too_old_a_version_begins_anew(self):
        gone = '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n'
        for number, answer in enumerate(((200, {}, gone), (410, {}, '{"code":410}'))):
            fault, seen = self.once("GET", "watch=1", answer)
            holder, waiter = self.probe(self.url), self.probe(self.relay(fault))
            holder.send(f"acquire x{number} -1")
            holder.expect(f"held x{number}")
            waiter.send(f"acquire x{number} -1")
            waiter.expect(f"waiting x{number}")
            self.until(lambda seen=seen: len(seen) > 1)
            holder.send(f"release x{number}")
            waiter.expect(f"held x{number}")

    def test_a_watch_that_breaks_goes_on(self):
        fault, seen = self.once("GET", "watch=1", (200, {}, ""))
        holder, waiter = self.probe(self.url), self.probe(self.relay(fault))
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        self.until(lambda: len(seen) > 1)
        self.assertEqual(*(path.split("resourceVersion=")[1].split("&")[0] for path in seen[:2]))
        holder.send("release x")
        waiter.expect("held x")
