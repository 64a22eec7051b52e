"""What every store promises, whatever it is: mixed into the cases of those that need a server."""
import signal
import subprocess

import test_holders
from relays import Wire
from support import MPSYNC


class Pages:
    def test_a_list_goes_on_where_a_page_ended(self):
        """Page by page to the end, whatever is asked in between: each name once, in order."""
        elector = self.elector(self.url)
        names = [f"page-{i}" for i in range(7)] + ["other"]
        for number, name in enumerate(reversed(names)):
            self.http(elector.port, "PUT", f"/locks/{name}",
                      {"holder": "h", "claim": f"{number + 1:032x}", "ttl": "1h"})
        for prefix, wanted in (("page-", names[:-1]), ("", sorted(names)), ("none", [])):
            found, place = [], ""
            while place is not None:
                page = self.http(elector.port, "GET", f"/locks?limit=3&prefix={prefix}{place}")[1]
                found += [lock["metadata"]["name"] for lock in page["items"]]
                self.assertLessEqual(len(found), len(wanted))
                place = f"&continue={page['continue']}" if "continue" in page else None
            self.assertEqual(found, wanted)
        # Behind the last one there is nothing, and what lies between two names need not be there.
        self.assertEqual(self.http(elector.port, "GET", "/locks?continue=page-9")[1]["items"], [])
        between = self.http(elector.port, "GET", "/locks?continue=page-55")[1]["items"]
        self.assertEqual([lock["metadata"]["name"] for lock in between], ["page-6"])


class Deafness:
    """The way to the server passes no bytes any more, and does not say so: its kernel answers for it, to TCP too."""

    holders_ttl = "1h"

    def wire_to(self, port, url):
        """One, and the URL that leads over it: `url` with its port."""
        wire = Wire(port)
        self.addCleanup(wire.close)
        return wire, url.replace(f":{port}", f":{wire.port}")

    def observers_notice(self, wire, over_wire, url):
        """Of the same place by these two URLs."""
        environment = {"MPSYNC_URL": over_wire, "MPSYNC_TTL": "3s"}
        one = self.start([MPSYNC, "watch", "--json", "x"], environment)
        every = self.start([MPSYNC, "ls", "--watch", "--json"], environment)
        one.line()
        holder = self.probe(url, ttl=self.holders_ttl)
        holder.send("acquire x -1")
        holder.expect("held x")
        for watch in (one, every):
            while '"owner":""' in watch.line():
                pass
        wire.deafen()
        holder.send("release x")
        holder.expect("released x")
        holder.send("acquire y -1")
        holder.expect("held y")
        while '"owner":""' not in one.line():
            pass
        while '"y"' not in every.line():
            pass


class Promises(Pages):
    shortest_ttl = "2s"

    def test_killed_holder_is_replaced_after_its_ttl(self):
        holder, waiter = (self.probe(self.url, ttl=self.shortest_ttl) for _ in range(2))
        holder.send("acquire x -1")
        before = self.token_of(holder.expect("held x"))
        # Before anybody waits: on a busy machine so short a right may end of itself.
        holder.signal(signal.SIGKILL)
        waiter.send("acquire x -1")
        self.assertGreater(self.token_of(waiter.expect("held x")), before)

    def test_a_process_that_ends_gives_its_grants_back(self):
        """By its death where that is proof, else by the release at its very end: long before the ttl is over."""
        holder, waiter = (self.probe(self.url, ttl="600s") for _ in range(2))
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        holder.send("exit")
        self.assertEqual(holder.child.wait(), 0)
        waiter.expect("held x")

    def test_adopted_grant_keeps_its_value(self):
        test_holders.Restart.keeps_its_value(self, self.url)

    def test_observers_see_each_value(self):
        elector = self.elector(self.url)
        claim = {"holder": "w", "claim": "1" * 32, "ttl": "1h"}
        token = self.http(elector.port, "PUT", "/locks/x", {**claim, "value": "first"})[1]["spec"]["token"]
        watches = [self.start([MPSYNC, "watch", "--json", "x"], {"MPSYNC_URL": url}, stderr=subprocess.DEVNULL)
                   for url in (self.url, elector.url)]
        for watch in watches:
            self.assertIn("first", watch.line())
        self.http(elector.port, "PUT", "/locks/x", {**claim, "token": token, "value": "second"})
        for watch in watches:
            self.assertIn("second", watch.line())

    def test_restarted_elector_loses_no_lock(self):
        test_holders.Restart.loses_no_lock(self, self.url)
