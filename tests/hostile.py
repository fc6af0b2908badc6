"""Texts that nobody should meet, and what must not come out of them."""

import re

# What each would do where it is obeyed instead of shown.
HOSTILE = {
    "closing markup": "[/x] [/]",
    "markup": "[bold]citation[/bold] [12] :smile:",
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "C1": "\x9b31m\x9d0;owned\x9c",
    "bell and backspace": "a\x07\x08\x7fb",
    "override": "abc\u202efed\u202c",
    "isolate": "\u2066x\u2069",
    "tags": "flag\U000e0067\U000e007f",
    "mathtext": "$x$ and $\\frac{$ and \\$",
    "script": "<script>alert(1)</script></title><!--",
    "attribute": "\" onmouseover='alert(1)' &amp; ]]>",
    "path": "../../etc/passwd",
    "slash": "a/b",
    "underscore": "a_b",
    "carriage return": "first\rsecond",
    "line breaks": "one\ntwo\u2028three\x85four",
    "combining": "\u0301\u0301 \u0e31",
    "dash": "-rf",
    "shell": "$(touch owned) `id`; 'q'",
    "template": "{{ 7 * 7 }} {% raw %} %s %(x)d {0}",
    "long": "very long " * 60,
    "NUL": "a\x00b",
}
# Of what our own output never contains: rich is given no colours here.
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
