#!/usr/bin/env python3
"""Shows that the simulation notices what it is for: each mutant of the pure files must fail it.

Each mutant is a copy of the core with one rule broken. One that survives is a missing fault of the
simulation, not a correct program. Numbers are those of the list in docs/guarantees.md.
"""
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORE = ROOT / "core" / "libmpsync"
FILES = ["claim.c", "record.c", "engine.c", "heap.c", "identity.c", "stores/records.c"]
SEEDS = 100000

# number, what is broken, [(file, text, replacement)]
MUTANTS = [
    ("1", "sent_at is read after the answer", [
        ("stores/records.c", ".sent_at_ms = task->sent_at_ms,\n\t\t\t.right_ms",
         ".sent_at_ms = records_now(task->records),\n\t\t\t.right_ms")]),
    ("2", "sent_at is taken at the re-read after a lost answer", [
        ("stores/records.c", "take_over_version(task, record);\n\twrite_renewal(task, RENEW_WRITE);",
         "take_over_version(task, record);\n\ttask->sent_at_ms = records_now(task->records);\n"
         "\tanswer_right(task, CLAIM_RENEWED);")]),
    ("3", "no margin between a right and its ttl", [
        ("claim.c", "return ttl_ms - ttl_ms / 5;", "return ttl_ms;")]),
    ("5", "the takeover's time counts from the first sight of the holder", [
        ("record.c", "if (before && record_same_holding(before, record) &&",
         "if (before && before->holder && record->holder &&")]),
    ("6", "a takeover goes on after another's write", [
        ("stores/records.c", "	case ATTEMPT_READ:\n\t\tjudge(task, record);",
         "	case ATTEMPT_READ:\n\t\tif (task->races > 0)\n\t\t\twrite_grant(task, there);\n"
         "\t\telse\n\t\t\tjudge(task, record);")]),
    ("7", "writes do not carry the uid", [
        ("stores/records.c", "\t\t.uid = task->uid,\n", "")]),
    ("8", "a renewal changes the token", [
        ("stores/records.c", ".token = task->claim->token,\n\t\t\t.sent_at_ms",
         ".token = task->version,\n\t\t\t.sent_at_ms"),
        ("claim.c", "\tclaim->wall_ahead_ms = input->wall_ms - (int64_t)input->now_ms;\n",
         "\tclaim->wall_ahead_ms = input->wall_ms - (int64_t)input->now_ms;\n"
         "\tclaim->token = input->answer.token;\n")]),
    ("9", "a right that has ended is renewed", [
        ("claim.c", "if (input->now_ms >= claim->valid_until_ms)\n\t\t\tlose(",
         "if (input->event == CLAIM_TICK && input->now_ms >= claim->valid_until_ms)\n\t\t\tlose(")]),
    ("11", "a cancelled claim's late grant is kept", [
        ("claim.c", "return; /* too late: LEAVING withdraws it */",
         "{\n\t\tclaim->attempted = false;\n\t\treturn;\n\t}")]),
    ("12", "a write that changes nothing counts as a renewal", [
        ("record.c", "there->renewals + 1", "there->renewals"),
        ("stores/records.c", "record->version != task->version", "true")]),
    ("15", "is_held is cleared after the release was sent", [
        ("engine.c", "\t\tpublish_right(claim);\n\t\tif (output.action == CLAIM_SLEEP)",
         "\t\tif (output.action != CLAIM_WITHDRAW)\n\t\t\tpublish_right(claim);\n"
         "\t\tif (output.action == CLAIM_SLEEP)")]),
    ("16", "a held record that vanishes is free", [
        ("record.c", "seen->state = SEEN_VANISHED;", "seen->state = SEEN_FREE;")]),
    ("18", "another boot is free at once", [
        ("record.c", "\tif (record && same_clock(&record->host, &view->host))",
         "\tif (record && !id_equal(&record->host.boot, &view->host.boot))\n\t\treturn 0;\n"
         "\tif (record && same_clock(&record->host, &view->host))")]),
    ("19", "a release's answer after the end tells of a loss", [
        ("claim.c", "\tif (claim->state == CLAIM_HELD)\n\t\tlose(claim, input->answer.reason",
         "\tif (claim->state >= CLAIM_HELD)\n\t\tlose(claim, input->answer.reason"),
        ("stores/records.c", "static void answer_freed(struct task *task)\n{\n",
         "static void answer_freed(struct task *task)\n{\n"
         "\tif (records_now(task->records) > task->sent_at_ms + task->claim->ttl_ms) {\n"
         "\t\tanswer_gone(task, NULL);\n\t\treturn;\n\t}\n")]),
    ("21", "a granting write whose answer was lost is forgotten", [
        ("stores/records.c", "if (!(task->granting || task->late_grant) ||", "if (true ||")]),
    ("22", "an answer that was overtaken counts", [
        ("stores/records.c", "return record && record->version < watched->newest_version;",
         "return false && record && watched;")]),
]


def build(folder, edits):
    source = folder / "core"
    shutil.copytree(CORE, source)
    for name, text, replacement in edits:
        path = source / name
        content = path.read_text()
        # However it is wrapped.
        pattern = r"\s+".join(re.escape(word) for word in text.split())
        count = len(re.findall(pattern, content))
        if count != 1:
            raise SystemExit(f"mutants.py: {name} has {count} times: {text!r}")
        path.write_text(re.sub(pattern, lambda _: replacement, content))
    program = folder / "simulation"
    simulation = sorted((ROOT / "tests" / "simulation").glob("*.c"))
    subprocess.run(
        ["cc", "-std=gnu11", "-O2", "-D_GNU_SOURCE", "-w", f"-I{ROOT}/include", f"-I{source}",
         "-Wl,--wrap=claim_step", *[source / name for name in FILES], *simulation, "-lcrypto",
         "-o", program], check=True)
    return program


def run(mutant):
    number, what, edits = mutant
    with tempfile.TemporaryDirectory() as folder:
        program = build(pathlib.Path(folder), edits)
        done = subprocess.run([program, "--seeds", str(SEEDS)], capture_output=True, text=True)
    found = re.search(r"FAILED seed (\d+): (P\d+)", done.stdout)
    return number, what, found and (int(found[1]), found[2])


def main():
    survivors = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for number, what, killed in pool.map(run, MUTANTS):
            if killed:
                print(f"ok    mutant {number}: {what}: {killed[1]} at seed {killed[0]}", flush=True)
            else:
                survivors += 1
                print(f"FAIL  mutant {number}: {what}: survived {SEEDS} seeds", flush=True)
    print(f"{len(MUTANTS) - survivors} passed, {survivors} failed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
