"""Judges what everybody believed: no two at once, and tokens that rise."""
import collections
import dataclasses
import subprocess


@dataclasses.dataclass
class Belief:
    """One grant, as its holder saw it; it believed at least from `first` to `last`."""
    worker: int
    token: int
    asked: int
    told: int
    first: int = 0
    last: int = 0
    refused: bool = False
    went_on: bool = False

    def __str__(self):
        return f"worker {self.worker}, token {self.token}, {self.told}"


def parse(line):
    worker, kind, token, before, after = line.split()
    return int(worker), kind, int(token), int(before), int(after)


def beliefs(lines):
    found = {}
    for worker, kind, token, before, after in map(parse, lines):
        key = worker, token
        if kind == "acquired":
            found[key] = Belief(worker, token, before, after)
        elif kind == "holds":
            belief = found[key]
            belief.went_on = belief.refused
            belief.first = belief.first or after
            belief.last = before
        elif kind == "refused":
            found[key].refused = True
    return list(found.values())


def overlaps(found):
    """Two that believed at the same moment; each from its first yes to its last."""
    spans = sorted((belief for belief in found if belief.first and belief.last > belief.first),
                   key=lambda belief: belief.first)
    latest = None
    for belief in spans:
        if latest and belief.first < latest.last:
            yield f"two believed at once: {latest}; {belief}: {(latest.last - belief.first) / 1e6} ms"
        if not latest or belief.last > latest.last:
            latest = belief


def falling_tokens(found):
    """A grant that was asked for after another was told of has the greater token. (0 is none at all.)"""
    fenced = [belief for belief in found if belief.token]
    twice = [token for token, times in collections.Counter(belief.token for belief in fenced).items() if times > 1]
    for token in twice:
        yield f"token {token} was granted twice"
    greatest, by = 0, None
    told = sorted(fenced, key=lambda belief: belief.told)
    asked = sorted(fenced, key=lambda belief: belief.asked)
    position = 0
    for belief in asked:
        while position < len(told) and told[position].told < belief.asked:
            if told[position].token > greatest:
                greatest, by = told[position].token, told[position]
            position += 1
        if belief.token <= greatest and belief is not by:
            yield f"a token fell: {belief} after {by}"


def refusals(found):
    """A holder that stood still between its question and its write may be refused; then it has lost."""
    for belief in found:
        if belief.went_on:
            yield f"its token was refused, and it went on to believe: {belief}"


def linearizable(program, lines, folder):
    """Nobody held what another held, in some order that the moments allow."""
    history = "".join(line for line in lines if " refused " not in line and line.split()[2] != "0")
    judged = subprocess.run([program], input=history, capture_output=True, text=True, cwd=folder, check=False)
    if judged.returncode != 0:
        yield f"no order exists: {judged.stdout}{judged.stderr}"


def judge(lines, only_tokens, program, folder):
    """What is wrong with it; `only_tokens` where a fault was outside of what is assumed."""
    found = beliefs(lines)
    wrong = list(falling_tokens(found))
    if not only_tokens:
        wrong += [*overlaps(found), *refusals(found), *linearizable(program, lines, folder)]
    return found, wrong
