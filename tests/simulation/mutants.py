#!/usr/bin/env python3
"""Shows that the simulation notices what it is for: each mutant of the pure files must fail it.

Each mutant is a copy of the core with one rule broken. One that survives is a missing fault of the
simulation, not a correct program. Numbers are those of the list in docs/guarantees.md.

    mutants.py [NUMBER …]
    mutants.py --hints [NUMBER …]   searches from the first seed on, and notes which one found each (seeds.json)

Otherwise the seed that is noted is tried first; only where it finds nothing (any more) are all of them searched.
"""
import concurrent.futures
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORE = ROOT / "core"
BUILD = ROOT / "build" / "lib"
SIMULATION = ROOT / "tests" / "simulation"
UNBROKEN = ROOT / "build" / "bin" / "simulation"
HINTS = SIMULATION / "seeds.json"
SEEDS = 100000
CC = ["cc", "-std=gnu11", "-O2", "-D_GNU_SOURCE", "-w", f"-I{ROOT}/include"]

# number, what is broken, [(file, text, replacement)], the mode it is looked for in (all, if none)
MUTANTS = [
    ("1", "sent_at is read after the answer", [
        ("libmpsync/stores/records/task.c", ".sent_at_ms = task->sent_at_ms,\n\t\t\t.right_ms",
         ".sent_at_ms = records_now(task->records),\n\t\t\t.right_ms")]),
    ("2", "sent_at is taken at the re-read after a lost answer", [
        ("libmpsync/stores/records/renewals.c", "watch_while_holding(task);\n\twrite_renewal(task, RENEW_WRITE);",
         "watch_while_holding(task);\n\ttask->sent_at_ms = records_now(task->records);\n"
         "\ttask_answer_right(task, CLAIM_RENEWED);")]),
    ("3", "no margin between a right and its ttl", [
        ("libmpsync/protocol/claim.c", "return ttl_ms - ttl_ms / 5;", "return ttl_ms;")]),
    ("3 (elector)", "an elector tells of a right without the margin", [
        ("elector/protocol/answers.c", "read_ms + claim_right_ms(ticket_claim(ticket)->ttl_ms);",
         "read_ms + ticket_claim(ticket)->ttl_ms;"),
        ("elector/protocol/answers.c", "right_until < by_request ? right_until",
         "right_until + ticket_claim(ticket)->ttl_ms / 5 < by_request\n"
         "\t\t? right_until + ticket_claim(ticket)->ttl_ms / 5")], "2"),
    ("4", "the client counts from the answer's arrival", [
        ("libmpsync/stores/elector/claims.c", ".sent_at_ms = remote->sent_at_ms,",
         ".sent_at_ms = remote_now(remote->remote),")], "2"),
    ("41", "a holder obeys Retry-After to the end", [
        ("libmpsync/protocol/claim.c", "return input->answer.retry_in_ms < most ? input->answer.retry_in_ms : most;",
         "return input->answer.retry_in_ms;")], "0"),
    ("42", "a Lease is renewed each third of its ttl", [
        ("libmpsync/protocol/claim.c", "uint64_t claim_renew_often_ms(uint64_t ttl_ms)\n{\n\treturn part_of(ttl_ms, 6);",
         "uint64_t claim_renew_often_ms(uint64_t ttl_ms)\n{\n\treturn part_of(ttl_ms, 3);")], "0"),
    ("43", "no further request joins one that nobody answers", [
        ("libmpsync/net/further.c", ".next_ms = every_ms ? now_ms + every_ms : FURTHER_NEVER,",
         ".next_ms = FURTHER_NEVER,")], "0"),
    ("44", "a holder retries as rarely as a waiter", [
        ("libmpsync/protocol/claim.c", "uint32_t most = claim->ttl_ms / 30;", "uint32_t most = claim->ttl_ms / 3;")], "0"),
    ("45", "a create is sent again", [
        ("libmpsync/stores/records/attempts.c", "task->request.again = there;", "")], "0"),
    ("47", "a right counts from the latest of its requests, whichever was done", [
        ("libmpsync/stores/records/task.c", ".right_ms = claim_right_ms(task->claim->ttl_ms),",
         ".right_ms = claim_right_ms(task->claim->ttl_ms) + task->request.uncertain * task->claim->ttl_ms / 3,")], "0"),
    ("5", "the takeover's time counts from the first sight of the holder", [
        ("libmpsync/protocol/record.c", "if (before && record_same_holding(before, record) &&",
         "if (before && before->holder && record->holder &&")]),
    ("6", "a takeover goes on after another's write", [
        ("libmpsync/stores/records/attempts.c", "	judge(task, record);",
         "\tif (task->races > 0)\n\t\twrite_grant(task, record && record->version ? record : NULL);\n"
         "\telse\n\t\tjudge(task, record);")]),
    ("7", "writes do not carry the uid", [
        ("libmpsync/stores/records/task.c", "\t\t.uid = task->grant->uid,\n", "")]),
    ("8", "a renewal changes the token", [
        ("libmpsync/stores/records/task.c", ".token = task->claim->token,\n\t\t\t.sent_at_ms",
         ".token = task->grant->version,\n\t\t\t.sent_at_ms"),
        ("libmpsync/protocol/claim.c", "\tclaim->wall_ahead_ms = input->wall_ms - (int64_t)input->now_ms;\n",
         "\tclaim->wall_ahead_ms = input->wall_ms - (int64_t)input->now_ms;\n"
         "\tclaim->token = input->answer.token;\n")]),
    ("9", "a right that has ended is renewed", [
        ("libmpsync/protocol/claim.c", "if (input->now_ms >= claim->valid_until_ms)\n\t\t\tlose_in_doubt(",
         "if (input->event == CLAIM_TICK && input->now_ms >= claim->valid_until_ms)\n\t\t\tlose_in_doubt(")]),
    ("10 (proof)", "a stream's end hands over, whatever its end", [
        ("elector/protocol/session.c", "if (fenced && (process_ended || clean_end))", "if (true)")], "2"),
    ("10 (generation)", "an older stream's end counts as well", [
        ("elector/protocol/session.c", "static void send_hello(",
         "static void hand_over(struct session *session);\nstatic void send_hello("),
        ("elector/protocol/session.c", "end_stream(session->stream, \"replaced\");",
         "{\n\t\tend_stream(session->stream, \"replaced\");\n\t\thand_over(session);\n\t}")], "2"),
    ("11", "a cancelled claim's late grant is kept", [
        ("libmpsync/protocol/claim.c", "if (claim->state != CLAIM_WAITING)\n\t\treturn;\n\tif (input->now_ms >= later(",
         "if (claim->state != CLAIM_WAITING) {\n\t\tclaim->attempted = false;\n\t\treturn;\n\t}\n\tif (input->now_ms >= later(")]),
    ("12", "a write that changes nothing counts as a renewal", [
        ("libmpsync/protocol/record.c", "return there_us + second_us;", "return there_us;"),
        ("libmpsync/stores/records/renewals.c", "record->version != task->grant->version", "true")]),
    ("13", "our claim written by another elector counts as our own write", [
        ("libmpsync/protocol/record.c",
         "id_equal(&record->claim, &view->claim) && id_equal(&record->instance, &view->instance)",
         "id_equal(&record->claim, &view->claim)")]),
    ("14", "etcd: held when nobody stands before, without a look at the own key", [
        ("libmpsync/stores/etcd/place.c", "if (!own || own->create_revision != entry->created || !etcd_stands_on_our_lease(entry, own)) {",
         "if (false) {"),
        ("libmpsync/stores/etcd/place.c", "} else if (oldest && oldest->create_revision == entry->created) {\n"
         "\t\tetcd_unwatch(&entry->before);\n\t\thold(entry, own);",
         "} else if (!before) {\n\t\tetcd_unwatch(&entry->before);\n"
         "\t\tetcd_entry_answer_seen(entry, CLAIM_GRANTED);")]),
    ("15", "is_held is cleared after the release was sent", [
        ("libmpsync/protocol/claims.c", "if (owner->right && until != before)",
         "if (owner->right && until != before && output.action != CLAIM_WITHDRAW)")]),
    ("16", "a held record that vanishes is free", [
        ("libmpsync/protocol/record.c", "seen->state = SEEN_VANISHED;", "seen->state = SEEN_FREE;")]),
    ("17", "the elector's answers count from the last timer's time", [
        ("elector/protocol/session.c", "void sessions_arm(struct sessions *sessions)\n{",
         "uint64_t loop_ms;\nvoid sessions_arm(struct sessions *sessions)\n{"
         "\tloop_ms = sessions_now(sessions);\n"),
        ("elector/protocol/answers.c", "const uint64_t told_ms = sessions_now(ticket->sessions);\n"
         "\tconst uint64_t remaining = ticket_remaining_ms(ticket, read_ms, told_ms);",
         "extern uint64_t loop_ms;\n\tconst uint64_t told_ms = loop_ms;\n"
         "\tconst uint64_t remaining = ticket_remaining_ms(ticket, read_ms, told_ms);")], "2"),
    ("18", "another boot is free at once", [
        ("libmpsync/protocol/record.c", "\tif (record && same_clock(&record->host, &view->host))",
         "\tif (record && !id_equal(&record->host.boot, &view->host.boot))\n\t\treturn 0;\n"
         "\tif (record && same_clock(&record->host, &view->host))")]),
    ("19", "a release's answer after the end tells of a loss", [
        ("libmpsync/protocol/claim.c", "\tif (claim->state == CLAIM_HELD)\n\t\tlose(claim, input->answer.reason",
         "\tif (claim->state >= CLAIM_HELD)\n\t\tlose(claim, input->answer.reason"),
        ("libmpsync/stores/records/task.c", "void task_answer_freed(struct task *task)\n{\n",
         "void task_answer_freed(struct task *task)\n{\n"
         "\tif ((uint64_t)records_wall_now(task->records) * 1000 >\n"
         "\t    task->grant->renewed_us + (uint64_t)task->claim->ttl_ms * 1000) {\n"
         "\t\ttask_answer_gone(task, NULL);\n\t\treturn;\n\t}\n")]),
    ("20", "another ttl takes effect in the middle of a grant", [
        ("elector/protocol/ticket_requests.c", '#include "session.h"',
         '#include "session.h"\nvoid engine_set_ttl(struct engine_claim *claim, uint32_t ttl_ms);'),
        ("elector/protocol/ticket_requests.c",
         'answer_error(sessions, request, 400, "invalid", "the ttl of a grant is fixed");\n\t\treturn;',
         "engine_set_ttl(ticket->engine_claim, put->ttl_ms);"),
        ("libmpsync/protocol/claims.c", "const struct store_claim *engine_claim_stored(",
         "void engine_set_ttl(struct engine_claim *claim, uint32_t ttl_ms);\n"
         "void engine_set_ttl(struct engine_claim *claim, uint32_t ttl_ms)\n{\n"
         "\tclaim->stored.ttl_ms = ttl_ms;\n}\nconst struct store_claim *engine_claim_stored(")], "2"),
    ("21", "a granting write whose answer was lost is forgotten", [
        ("libmpsync/stores/records/errands.c", "if (!(task->granting || task->late_grant) ||", "if (true ||")]),
    ("24", "the client believes an elector that does not have its stream", [
        ("libmpsync/stores/elector/claims.c", "return id_equal(&elector, &remote->elector);",
         "return id_equal(&elector, &elector) && remote->greeted;")], "2"),
    ("25", "etcd: a keep-alive counts whoever leads", [
        ("libmpsync/stores/etcd/session.c", "else if (answer->term != session->term)",
         "else if (false)")]),
    ("26", "etcd: the right counts from the answer, not from the last keep-alive", [
        ("libmpsync/stores/etcd/entry.c", ".sent_at_ms = etcd_held_since_ms(entry),",
         ".sent_at_ms = etcd_now(entry->etcd),")]),
    ("27", "etcd: a waiter asks again and again", [
        ("libmpsync/stores/etcd/place.c",
         "etcd_entry_answer(entry, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = CLAIM_NEVER}, "
         "&(struct store_word){ .holder = known",
         "etcd_entry_answer(entry, CLAIM_BUSY, &(struct claim_answer){.retry_in_ms = 20}, "
         "&(struct store_word){ .holder = known")]),
    ("53", "an elector sets a value whose request was overtaken", [
        ("elector/protocol/ticket_requests.c", "session->order >= put->order) return false;", "false) return false;")], "2"),
    ("77", "an elector says lost of what another elector has adopted", [
        ("elector/protocol/outcomes.c", "if (event->reason == MPSYNC_REASON_OTHER_ELECTOR) answer_in_doubt(",
         "if (false) answer_in_doubt("),
        ("elector/protocol/outcomes.c", "request->read_ms);\n\telse\n\t\tanswer_in_doubt(ticket->sessions, request);",
         "request->read_ms);\n\telse\n\t\tanswer_error(ticket->sessions, request, 409, \"lost\", \"the grant has ended\");")], "2"),
    ("95", "callers of the old wire do not regain what a former elector gave them", [
        ("libmpsync/stores/records/attempts.c", "if (task->claim->regain)", "if (false)")], "2"),
    ("96", "etcd: callers of the old wire do not regain what a former elector gave them", [
        ("libmpsync/stores/etcd/place.c", "return entry->claim->regain && etcd_entry_owns", "return false && etcd_entry_owns")], "4"),
    ("60", "etcd: a keep-alive is confirmed without the places that are held", [
        ("libmpsync/stores/etcd/session.c", ".further_count = count,", ".further_count = 0,")], "3"),
    ("61", "etcd: a place is adopted that is not the first", [
        ("libmpsync/stores/etcd/adopt.c", ".compare_count = 3,", ".compare_count = 2,")], "4"),
    ("62", "etcd: a place is adopted that was written since it was looked at", [
        ("libmpsync/stores/etcd/adopt.c", ".revision = entry->written, .kind = ETCD_WRITTEN_AT},",
         ".revision = (int64_t)claim->token},")], "4"),
    ("102", "etcd: a place is held on while another elector is about to adopt it", [
        ("libmpsync/stores/etcd/held.c", "return entry->shown > entry->written;", "return false && entry;")], "4"),
    ("63", "etcd: an elector clears its place, which another has adopted", [
        ("libmpsync/stores/etcd/place.c", "if (!own || !etcd_stands_on_our_lease(entry, own) || !facts_key) return own;",
         "if (!own || !facts_key) return false;")], "4"),
    ("64", "etcd: a release deletes the place, whoever has its facts by now", [
        ("libmpsync/stores/etcd/leave.c",
         ".compares = {{.key = entry->facts, .revision = entry->facts_created}, {.key = entry->key, "
         ".revision = entry->created}}, .compare_count = 2,",
         ".compares = {{.key = entry->key, .revision = entry->created}}, .compare_count = 1,")], "4"),
    ("65", "etcd: what was adopted for nobody is given back at once", [
        ("libmpsync/stores/etcd/standing.c", "!(facts.token && may_be_believed(session, key, &facts))", "true")], "4"),
    ("66", "etcd: what was adopted for nobody is never given back", [
        ("libmpsync/stores/etcd/standing.c", "if (until_ms <= now) return false;", "")], "4"),
    ("68", "etcd: a waiter's place that another elector has adopted is held here as well", [
        ("libmpsync/stores/etcd/place.c", "entry->created || !etcd_stands_on_our_lease(entry, own)) {",
         "entry->created) {")], "4"),
    ("67", "etcd: what stands at the key of an adopted place is taken for that place", [
        ("libmpsync/stores/etcd/leave.c", "|| !is_place_of(entry, own, facts)) return false;",
         "|| !own || is_place_of(entry, own, facts) > 1) return false;")], "4"),
    ("73", "etcd: facts that come back while their claim leaves keep its place", [
        ("libmpsync/stores/etcd/leave.c", "if (got->succeeded) answer_freed(entry, false); else resolve_doubt(entry);",
         "answer_freed(entry, false);")], "3"),
    ("74", "a place that was given on, and whose client waits no longer, rings for ever", [
        ("elector/protocol/tickets.c", "} else {\n\t\tticket_set_timer(ticket, HEAP_NEVER);", "} else {")], "4"),
    ("28", "a place that a waiter takes counts as a sign of life of the holder", [
        ("libmpsync/protocol/record.c", "a->revoked == b->revoked;",
         "a->revoked == b->revoked && text_same(a->next, b->next);")], "0"),
    ("29", "a grant that the store does not renew takes the session's others with it", [
        ("elector/protocol/heartbeats.c", "return beat->lists_low && remaining_ms < ttl_ms / 4 &&",
         "return false && beat->lists_low && remaining_ms < ttl_ms / 4 &&")], "2"),
    ("30", "the client does not ask by itself for a grant that is low", [
        ("libmpsync/stores/elector/heartbeats.c", "if (remote->low || remaining == 0 ||",
         "if (remaining == 0 ||")], "2"),
    ("31", "an elector does not store the token right after the grant", [
        ("elector/protocol/outcomes.c", "if (engine_store(ticket->sessions->engine)->bears_token_late &&",
         "if (false && engine_store(ticket->sessions->engine)->bears_token_late &&")], "2"),
    ("32", "an adopted grant is kept for ever if its client says nothing", [
        ("elector/protocol/outcomes.c", "ticket_tell_until(ticket, sessions_now(sessions), claim_right_ms(event->ttl_ms));",
         ";")], "2"),
    ("33", "what is adopted in order to release it is kept", [
        ("elector/protocol/outcomes.c", "ticket_release(ticket, TICKET_RELEASING, &sessions->counters.takeovers_goodbye);\n\t\treturn;",
         "finish(ticket, TICKET_ENDED);\n\t\treturn;"),
        ("elector/protocol/outcomes.c", "static void store_token(",
         "static void finish(struct ticket *ticket, enum ticket_state state);\nstatic void store_token(")], "2"),
    ("34", "a claim that waits here, and was granted elsewhere, is said to be held by another", [
        ("elector/protocol/ticket_requests.c", "if (put->token || is_adopting(ticket)) {", "if (is_adopting(ticket)) {")], "2"),
    ("35", "an elector gives a deleted name on to the next that waits there, at once", [
        ("libmpsync/protocol/claim.c", "(claim->on_behalf && answer->reason", "(false && claim->on_behalf && answer->reason")], "2"),
    ("50", "a value counts as stored when it is sent", [
        ("libmpsync/stores/records/renewals.c",
         "task->request.renewal = phase == RENEW_WRITE && !task->request.durable;",
         "task->request.renewal = phase == RENEW_WRITE && !task->request.durable;\n"
         "\ttask->grant->value_version = claim->value_version;")], "1"),
    ("51", "etcd: a value is written over whatever is there", [
        ("libmpsync/stores/etcd/entry.c", ".revision = entry->written, .kind = ETCD_WRITTEN_AT}, "
         "{.key = entry->facts", ".revision = entry->created}, {.key = entry->facts")], "3"),
    ("80", "a term is given back as soon as it is told to end", [
        ("libmpsync/protocol/terms.c", "(terms->state == TERMS_ENDING && now_ms >= terms->limit_ms));",
         "terms->state == TERMS_ENDING);")]),
    ("81", "who lost stands again before what its term started has ended", [
        ("libmpsync/protocol/terms.c", "else if (terms->state == TERMS_ENDING)\n\t\tterms->late_ms = now_ms;",
         "else if (terms->state == TERMS_ENDING)\n\t\tterms->state = TERMS_RELEASING;")]),
    ("82", "a right that is not renewed is told at its end only", [
        ("libmpsync/protocol/terms.c",
         "terms->state == TERMS_LEADING && input->now_ms >= notice_at_ms(terms))", "false)")]),
    ("83", "a loss while the work ends is told once more", [
        ("libmpsync/protocol/terms.c", "else if (terms->state == TERMS_ENDING)\n\t\tterms->late_ms = now_ms;",
         "else if (terms->state == TERMS_ENDING)\n\t\tbegin_ending(terms, reason, now_ms);")]),
    ("84", "etcd: observers are not told of a value that changes", [
        ("libmpsync/stores/etcd/look.c", "observed_version((uint64_t)oldest->create_revision, value)",
         "(uint64_t)oldest->create_revision")], "3"),
    ("85", "etcd: an observer's watch that has ended does not begin again", [
        ("libmpsync/stores/etcd/observe.c", "etcd_now(observing->etcd) + WATCH_RETRY_MS", "CLAIM_NEVER")], "3"),
    ("86", "what changes while an observer's query is under way is not asked for", [
        ("libmpsync/stores/records/observers.c", "observing->again = observing->running;", "observing->again = false;")], "3"),
    ("87", "etcd: a place is shown with the facts of one that had its key before", [
        ("libmpsync/stores/etcd/list.c", " && place->written >= oldest->create_revision", "")], "4"),
    ("88", "etcd: who has left and queued again is shown as the holder", [
        ("libmpsync/stores/etcd/query.c", "if (!oldest || oldest->create_revision != look->created) {",
         "if (!oldest) {")], "3"),
    ("100", "a waiter behind an elector takes any silence", [
        ("libmpsync/stores/elector/elector.c", "const uint64_t half_ms = claim->claim->ttl_ms / 2;",
         "const uint64_t half_ms = 2 * MOST_SILENCE_MS;")], "2"),
    ("101", "a stream that never says hello is waited for", [
        ("libmpsync/stores/elector/elector.c", "if (!remote->greeted)\n\t\t\tremote_stream_replace(remote);",
         "if (!remote->greeted)\n\t\t\t;")], "2"),
    ("22", "an answer that was overtaken counts", [
        ("libmpsync/stores/records/names.c", "return record && record->version < watched->newest_version;",
         "return false && record && watched;")]),
]


def compiled_simulation(folder):
    """What does not differ from mutant to mutant."""
    sources = sorted(SIMULATION.glob("*.c"))
    subprocess.run([*CC, f"-I{CORE}/libmpsync", f"-I{CORE}", "-c", *sources], check=True, cwd=folder)
    return [folder / source.with_suffix(".o").name for source in sources]


def build(folder, edits, simulation):
    """The mutated files before the archives of the build, whose own of them are then left out."""
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
    mutated = sorted({source / name for name, _, _ in edits})
    libraries = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libcjson", "yaml-0.1", "libcrypto", "libevent", "libcurl"],
        check=True, capture_output=True, text=True).stdout.split()
    subprocess.run(
        [*CC, f"-I{source}/libmpsync", f"-I{source}", "-Wl,--wrap=claim_step", "-Wl,--wrap=id_random", *mutated,
         *simulation, BUILD / "libmpsync-elector.a", BUILD / "libmpsync.a", *libraries, "-lm", "-o", program], check=True)
    return program


def play(program, mode, first, count):
    """The first of these seeds that fails, and the property; None if all hold."""
    done = subprocess.run([program, "--first", str(first), "--seeds", str(count), *(["--mode", *mode] if mode else [])],
                          capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"mutants.py: {program}, of mode {mode}, crashed beyond seed {first}")
    found = re.search(r"FAILED seed (\d+): (P\d+)", done.stdout)
    return found and (int(found[1]), found[2])


def search(program, mode, first, last):
    """The first seed that fails it but not the unbroken program."""
    while found := play(program, mode, first, last - first + 1):
        if not play(UNBROKEN, mode, found[0], 1):
            break
        print(f"mode {' '.join(mode) or 'by the seed'}, seed {found[0]}: {found[1]} fails without any mutant", flush=True)
        first = found[0] + 1
    return found


def find(program, mode, hint):
    """As `search`, and a remark."""
    killed = hint and search(program, mode, hint, hint)
    if killed or not hint:
        return killed or search(program, mode, 1, SEEDS), ""
    return search(program, mode, 1, SEEDS), f" (no more at seed {hint}: mutants.py --hints)"


def run(mutant, simulation, hint):
    number, what, edits, *mode = mutant
    with tempfile.TemporaryDirectory() as folder:
        program = build(pathlib.Path(folder), edits, simulation)
        return (number, what, *find(program, mode, hint))


def run_all(mutants, hints):
    """The seeds of those that were found."""
    seeds = {}
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        simulation = compiled_simulation(pathlib.Path(folder))
        for number, what, killed, remark in pool.map(
                lambda mutant: run(mutant, simulation, hints.get(mutant[0])), mutants):
            if killed:
                seeds[number] = killed[0]
                print(f"ok    mutant {number}: {what}: {killed[1]} at seed {killed[0]}{remark}", flush=True)
            else:
                print(f"FAIL  mutant {number}: {what}: survived {SEEDS} seeds{remark}", flush=True)
    return seeds


def main(arguments):
    anew = "--hints" in arguments
    numbers = [argument for argument in arguments if argument != "--hints"]
    mutants = [mutant for mutant in MUTANTS if not numbers or mutant[0] in numbers]
    noted = json.loads(HINTS.read_text())
    seeds = run_all(mutants, {} if anew else noted)
    if anew:
        noted.update(seeds)
        kept = {number: noted[number] for number, *_ in MUTANTS if number in noted}
        HINTS.write_text(json.dumps(kept, indent=1) + "\n")
    print(f"{len(seeds)} passed, {len(mutants) - len(seeds)} failed")
    return 0 if len(seeds) == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
