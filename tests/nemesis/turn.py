"""One turn, run by `mpsync lock`: turn.py BEFORE HOLD_MS FILE. While it runs it believes."""
import os
import sys

from history import hold, tell

before, hold_ms, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
token = int(os.environ["MPSYNC_TOKEN"])
tell("acquired", token, before)
tell("released", token, hold(lambda: True, token, hold_ms, path, before))
