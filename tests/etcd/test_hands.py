"""Hands in etcd: what they delete of a held lock is told, or put back, and never held twice for long."""
import unittest

from cases import EtcdCase

# Names that one transaction cannot compare all.
MANY = 150


class Hands(EtcdCase):
    def place(self, name):
        return self.keys(f"{name}/")[0]

    def facts(self, name):
        return next(key for key in self.keys("mpsync-session/") if key.endswith(f"/{name}"))

    def held(self, probe, name):
        probe.send(f"acquire {name} -1")
        return self.token_of(probe.expect(f"held {name}"))

    def test_a_holder_whose_place_is_deleted_is_told(self):
        holder, waiter = self.probe(self.url), self.probe(self.url)
        before = self.held(holder, "x")
        place = self.place("x")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        self.etcdctl("del", place)
        self.assertIn("deleted", holder.expect("lost x"))
        self.assertGreater(self.token_of(waiter.expect("held x")), before)

    def test_it_is_told_whoever_makes_the_key_anew(self):
        """The same key, but another creation: not the place that was held."""
        holder = self.probe(self.url)
        self.held(holder, "x")
        key = self.place("x")
        self.etcdctl("del", key)
        self.etcdctl("put", key, "anybody")
        self.assertIn("deleted", holder.expect("lost x"))

    def test_a_value_that_a_hand_puts_there_costs_nothing(self):
        holder = self.probe(self.url)
        self.held(holder, "x")
        self.held(holder, "y")
        self.etcdctl("put", "--lease", self.place("x").rsplit("/", 1)[1], self.place("x"), "anybody")
        self.etcdctl("del", self.place("y"))
        holder.expect("lost y")  # by the comparison that has seen x as well
        holder.send("held x")
        holder.expect("is_held x 1")
        holder.send("release x")
        holder.expect("released x")

    def test_of_many_that_are_held_the_one_that_is_deleted_is_told(self):
        holder = self.probe(self.url)
        for number in range(MANY):
            self.held(holder, f"n{number}")
        gone = [f"n{MANY // 3}", f"n{MANY - 1}"]
        self.etcdctl("del", self.place(gone[0]))
        self.etcdctl("del", self.place(gone[1]))
        for _ in gone:
            self.assertIn("deleted", holder.expect(*(f"lost {name} " for name in gone)))
        for number in range(MANY):
            holder.send(f"held n{number}")
            answer = holder.expect(f"is_held n{number} ")
            self.assertTrue(answer.endswith("0" if f"n{number}" in gone else "1"), answer)

    def test_what_is_known_of_a_place_is_put_back(self):
        holder = self.probe(self.url, identity="me")
        self.held(holder, "x")
        facts = self.facts("x")
        self.etcdctl("del", facts)
        self.until(lambda: facts in self.keys("mpsync-session/"))
        self.assertIn("x lock me", self.mpsync("ls", url=self.url, check=0).stdout)
        holder.send("held x")
        holder.expect("is_held x 1")
        holder.send("release x")
        holder.expect("released x")
        self.assertEqual(self.keys("x/"), [])

    def test_a_session_that_is_deleted_is_told(self):
        holder = self.probe(self.url)
        self.held(holder, "x")
        self.etcdctl("del", next(key for key in self.keys("mpsync-session/") if key.endswith("/")))
        self.assertIn("expired", holder.expect("lost x"))


if __name__ == "__main__":
    unittest.main()
