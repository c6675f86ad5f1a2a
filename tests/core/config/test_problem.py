from __future__ import annotations

from agentops.core.problem import ConfigurationError, Problem, closest, nearest


def test_a_problem_is_one_line_whatever_is_in_it() -> None:
    problem = Problem("a.b", "it\nis \x1b[31mred", "", "mend\tit", "my.toml")
    assert str(problem) == "my.toml: a.b: it is  [31mred; mend it"
    assert str(Problem("", "what", "why", "remedy")) == "what; why; remedy"
    assert str(ConfigurationError([problem, problem])).count("\n") == 1


def test_the_nearest_word_is_named_or_all_of_them() -> None:
    assert nearest("kye", ["key", "gate"]) == "did you mean 'key'?"
    assert nearest("zzz", ["key", "gate"]) == "known here: gate, key"
    assert nearest("zzz", []) == "nothing is known here"
    assert closest("zzz", ["key"]) is None


def test_a_secret_is_masked_wherever_it_slipped_in() -> None:
    problem = Problem("k", "hunter2 hunter2x", "hunter2", "use hunter2", "s").without(["hunter2", "hunter2x", "is"])
    assert str(problem) == "s: k: ******** ********; ********; use ********"
