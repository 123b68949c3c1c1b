"""Whether what came of a case is what it expects."""

import dataclasses


@dataclasses.dataclass
class Answer:
    """What came of one request."""

    status: int | None  # None: the connection ended without a response
    ids: frozenset = frozenset()  # of the rules that are in the log
    text: str = ""  # what else these rules say there
    refused: str = ""  # the reason if edge's own parser refused the request, so that no rule ever saw it


@dataclasses.dataclass
class Verdict:
    passed: bool
    why: str = ""  # not passed
    refused: str = ""  # passed because the parser refused what rules, or another server, were to refuse


def judge(stage, answer, enabled):
    """`enabled(id)`: whether the paranoia level has this rule. Of a case that expects one that it has not, the rule must
    be silent."""
    if stage.error:
        if answer.status is None or answer.status >= 400:
            return Verdict(True)
        return Verdict(False, f"status {answer.status}, expected an error")
    problems = []
    refused = ""
    if stage.statuses and answer.status not in stage.statuses:
        # Which error a server answers with is its own affair: edge tells 405, 501 and 505 from 400.
        if answer.refused and min(stage.statuses) >= 400:
            refused = answer.refused
        else:
            problems.append(f"status {answer.status}, expected {' or '.join(map(str, stage.statuses))}")
    wanted = {number for number in stage.any_of.ids if enabled(number)}
    if wanted and not wanted & answer.ids and not says(answer, stage.any_of):
        if answer.refused:
            refused = answer.refused
        else:
            problems.append(f"missing {names(wanted)}")
    unwanted = (stage.none_of.ids | (stage.any_of.ids - wanted)) & answer.ids
    if unwanted:
        problems.append(f"matched {names(unwanted)}")
    if says(answer, stage.none_of):
        problems.append(f"logged '{stage.none_of.text}'")
    if problems:
        return Verdict(False, f"{'; '.join(problems)} (status {answer.status}, ids {names(answer.ids) or 'none'})")
    return Verdict(True, refused=refused)


def says(answer, logged):
    return bool(logged.text) and logged.text in answer.text


def names(ids):
    return " ".join(str(number) for number in sorted(ids))
