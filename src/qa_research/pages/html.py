"""A template as one self-contained HTML file, which works offline."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qa_research.text import disarmed


def one_file(
    package: str,
    template: str,
    style: str,
    scripts: Sequence[str],
    values: Mapping[str, Any],
    filters: Mapping[str, Callable[..., Any]] | None = None,
    kit: Sequence[str] = (),
) -> str:
    """The page of a template, a style sheet and scripts, all of them files of `package`.

    The template may be one of this package. `kit`: style sheets and scripts of this package that the page
    builds on; they come first.
    All text in `values` is escaped, and what would be obeyed without being HTML, such as an override of the
    direction of writing, is spelled out. The template also receives `style`, `script` and their hashes, with
    which it tells the browser to run no other script.
    """
    folder = files(package)
    shared = files("qa_research.pages")
    sheets = [shared / name for name in kit if name.endswith(".css")] + [folder / style]
    parts = [shared / name for name in kit if name.endswith(".js")]
    parts += [folder / name for name in scripts]
    sheet = "\n".join(path.read_text(encoding="utf-8") for path in sheets)
    script = "\n".join(['"use strict";', *(path.read_text(encoding="utf-8") for path in parts)])
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader("qa_research.pages", "")]),
        autoescape=True,
        finalize=_disarmed,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.policies["json.dumps_function"] = _dumped
    environment.filters |= filters or {}
    return environment.get_template(template).render(
        **values,
        style=Markup(sheet),
        style_hash=_hash(sheet),
        script=Markup(script),
        script_hash=_hash(script),
    )


def _disarmed(value: Any) -> Any:
    """What a template shows; Markup is our own."""
    return disarmed(value) if type(value) is str else value


def _dumped(value: Any, **settings: Any) -> str:
    return json.dumps(_plain(value), **settings)


def _plain(value: Any) -> Any:
    """JSON's values for a page's script, which puts texts into the page as they are."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return _disarmed(value)


def _hash(text: str) -> str:
    """As a Content-Security-Policy names inline text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
