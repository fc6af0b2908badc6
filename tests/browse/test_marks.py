from qa_research.browse.show import Mark, Marked, print_named, print_paragraph
from qa_research.text import disarmed

TEXT = "Ms Lund teaches chess"


def test_marks_become_brackets_in_a_pipe():
    assert Marked(TEXT, (Mark(0, 7, "gold"),)).plain() == "[[Ms Lund]] teaches chess"
    assert Marked(TEXT, (Mark(16, 21, "run"), Mark(0, 7, "gold"))).plain() == (
        "[[Ms Lund]] teaches {{chess}}"
    )


def test_brackets_of_marks_that_meet_do_not_tangle():
    def plain(*marks: Mark) -> str:
        return Marked(TEXT, marks).plain()

    assert plain(Mark(0, 7, "run"), Mark(0, 7, "gold")) == "{{[[Ms Lund]]}} teaches chess"
    assert plain(Mark(3, 7, "run"), Mark(0, 7, "gold")) == "[[Ms {{Lund}}]] teaches chess"
    assert plain(Mark(0, 2, "run"), Mark(0, 7, "gold")) == "[[{{Ms}} Lund]] teaches chess"
    assert plain(Mark(0, 7, "gold"), Mark(7, 15, "run")) == "[[Ms Lund]]{{ teaches}} chess"
    assert plain(Mark(3, 15, "run"), Mark(0, 7, "gold")) == "[[Ms {{Lund]] teaches}} chess"
    assert plain(Mark(0, 21, "gold")) == "[[Ms Lund teaches chess]]"
    assert plain(Mark(4, 4, "run")) == TEXT


def test_styles_keep_every_character_and_show_where_both_are():
    text = "a\r\tb [bold]c[/bold] :smile:"
    styled = Marked(text, (Mark(1, 6, "gold"), Mark(3, 9, "run"))).styled()
    assert styled.plain == disarmed(text)
    both = Marked(TEXT, (Mark(0, 7, "gold"), Mark(3, 15, "run"))).styled()
    assert [(both.plain[s.start : s.end], "reverse" in str(s.style)) for s in both.spans] == [
        ("Ms ", True),
        ("Lund", True),
        (" teaches", False),
    ]
    assert ["underline" in str(s.style) for s in both.spans] == [False, True, True]


def test_a_pipe_gets_unwrapped_lines_without_markup(capsys):
    long = "word " * 60
    print_paragraph("[bold]", Marked(long, (Mark(0, 4, "match"),)))
    print_named([("a", ["x"]), ("long", ["y", "z"])])
    assert capsys.readouterr().out == f"[bold][[word]]{long[4:]}\na     x\nlong  yz\n"
