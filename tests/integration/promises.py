"""What every store promises, whatever it is: mixed into the cases of those that need a server."""
import signal

import test_holders


class Promises:
    shortest_ttl = "2s"

    def test_killed_holder_is_replaced_after_its_ttl(self):
        holder, waiter = (self.probe(self.url, ttl=self.shortest_ttl) for _ in range(2))
        holder.send("acquire x -1")
        before = self.token_of(holder.expect("held x"))
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        holder.signal(signal.SIGKILL)
        self.assertGreater(self.token_of(waiter.expect("held x")), before)

    def test_adopted_grant_keeps_its_value(self):
        test_holders.Restart.keeps_its_value(self, self.url)

    def test_restarted_elector_loses_no_lock(self):
        test_holders.Restart.loses_no_lock(self, self.url)
