"""A program of the first Metaparticle Sync: one leads."""

from metaparticle_sync import Election


def leading():
    print("leading")
    election.shutdown()


def not_leading():
    print("not leading")


election = Election("example", leading, not_leading)
election.run()
