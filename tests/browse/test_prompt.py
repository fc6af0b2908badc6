import logging
from dataclasses import replace

import pytest

from qa_research.browse.catalogue import Catalogue
from qa_research.browse.prompt import Prompt
from qa_research.browse.view import Browser
from qa_research.tasks.answering.source import NamedSource


@pytest.fixture
def talk(questions, tmp_path, capsys, monkeypatch):
    """What is printed after each word that is entered, stdout and stderr; the prompts in front."""
    rows = [*questions, replace(questions[0], id="77", question="What of 77?")]
    # A verb that another test ran left its handler there, with a stream that is closed.
    monkeypatch.setattr(logging.getLogger("qa_research"), "handlers", [])
    source = NamedSource("--data", "dev.json", None, "here", "1", (64, 8), lambda: rows)

    def enter(*words: str | BaseException, limit: int = 2) -> list[str]:
        shown = []
        left = list(words)

        def ask(prompt: str) -> str:
            output = capsys.readouterr()
            shown.append(output.out + output.err + prompt.strip())
            word = left.pop(0) if left else "q"
            if isinstance(word, BaseException):
                raise word
            return word

        with Catalogue(source, tmp_path) as catalogue:
            Prompt(Browser(catalogue, None, (64, 8), None, "best", 5), limit).run(ask)
        shown.append(capsys.readouterr().out)
        return shown

    return enter


def test_it_starts_at_the_first_question_and_says_how_to_get_help(talk):
    first, last = talk()
    assert first.startswith("dev.json: 9 questions. h for help, q to quit.\n\n0  q0   dev.json")
    assert first.endswith("0>") and last == ""


def test_n_and_p_go_by_index_and_stop_at_the_ends(talk):
    shown = talk("p", "n", "", "8", "n", "p")
    assert shown[1] == "this is the first question\n0>"
    assert shown[2].startswith("1  q1 ") and shown[3].startswith("2  q2 ")
    assert shown[4].startswith("8  77 ") and shown[5] == "this is the last question\n8>"
    assert shown[6].startswith("7  q7 ") and shown[6].endswith("7>")


def test_a_number_is_an_index_and_else_an_id(talk):
    shown = talk("3", "q5", "77", "78", "nonsense")
    assert [text.split()[1] for text in shown[1:4]] == ["q3", "q5", "77"]
    assert shown[4] == "there is no question 78: --data=dev.json has the indices 0 to 8\n8>"
    assert shown[5] == "no question of dev.json has the id 'nonsense'; h for help\n8>"


def test_r_draws_from_the_seed(talk):
    one, other = talk("r", "r", "r"), talk("r", "r", "r")
    assert one == other and len({text.split()[0] for text in one[1:4]}) > 1


def test_a_search_lists_hits_and_m_more_of_them_while_n_continues_by_index(talk):
    shown = talk("m", "/CHESS", "m", "m", "m", "n", "s judo", "/", "s", "/nothing")
    assert shown[1] == "search first: /TEXT\n0>"
    assert "hits 1 to 2 of 9; m shows more, a number shows one" in shown[2]
    assert "Who teaches [[chess]]?" in shown[2]
    assert "hits 3 to 4 of 9; m shows more" in shown[3] and "hits 5 to 6 of 9" in shown[4]
    assert "hits 7 to 8 of 9; m" in shown[5] and shown[6].startswith("1  q1 ")
    assert "[[judo]]" in shown[7]
    assert "the text to search for is empty" in shown[8] and shown[9].startswith("the text to")
    assert shown[10] == "no question contains 'nothing'\n1>"


def test_the_last_hits_offer_no_more(talk):
    shown = talk("/chess", "m", "m", limit=5)
    assert shown[2].splitlines()[-2] == "hits 6 to 9 of 9; a number shows one"
    assert shown[3] == "there are no more hits\n0>"


def test_help_names_every_word(talk):
    help_text = talk("h")[1]
    for word in ("n or Enter", "p ", "r ", "NUMBER or ID", "/TEXT", "m ", "q ", "Ctrl-D"):
        assert word in help_text


@pytest.mark.parametrize("leaving", [EOFError(), KeyboardInterrupt(), "q", "quit"])
def test_it_is_left_quietly(talk, leaving):
    assert talk("n", leaving)[-1].strip() == ""
