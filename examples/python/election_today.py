"""One leads, until it is stopped: `term.ending` is set when the work is to end."""

from metaparticle_sync import Election

election = Election("example", value="http://me:8080")


def work(term):
    assert not term.ending.is_set()
    print("leading")
    election.stop()


election.lead(work)
print("not leading")
