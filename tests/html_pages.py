"""HTML pages as a browser's parser finds them."""

from html.parser import HTMLParser


class ParsedPage(HTMLParser):
    """What a browser's parser finds: tags with attributes, ids, and the text of each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict]] = []
        self.inline: list[tuple[dict, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inline.append((dict(attrs), ""))

    def handle_data(self, data):
        if self.cdata_elem:
            attributes, before = self.inline[-1]
            self.inline[-1] = (attributes, before + data)
        else:
            self.text += data
