"""What text of a figure is drawn, and where: for figures on which nothing may overlap."""

from itertools import combinations

from matplotlib.backends.backend_agg import RendererAgg


class _Listener(RendererAgg):
    """Notes each line of text with its box in pixels (left, top, right, bottom)."""

    def __init__(self, width, height, dpi):
        super().__init__(width, height, dpi)
        self.drawn = []

    def draw_text(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
        width, height, descent = self.get_text_width_height_descent(s, prop, ismath)
        above = height - descent
        assert angle in (0, 90)
        box = (
            (x, y - above, x + width, y + descent)
            if angle == 0
            else (x - above, y - width, x + descent, y)
        )
        self.drawn.append((s, box))
        super().draw_text(gc, x, y, s, prop, angle, ismath, mtext)


def texts(figure):
    """The lines of text that a reader sees, each with its box; draws the figure."""
    listener = _Listener(int(figure.bbox.width), int(figure.bbox.height), figure.dpi)
    figure.draw(listener)
    return [(text, box) for text, box in listener.drawn if text.strip()]


def collisions(figure):
    """Pairs of texts that overlap by more than a pixel, and texts that leave the figure."""
    found = texts(figure)
    pairs = []
    for (one, a), (other, b) in combinations(found, 2):
        wide = min(a[2], b[2]) - max(a[0], b[0])
        high = min(a[3], b[3]) - max(a[1], b[1])
        if min(wide, high) > 1:
            pairs.append((one, other))
    width, height = figure.bbox.width, figure.bbox.height
    outside = [
        text
        for text, (left, top, right, bottom) in found
        if min(left, top) < -1 or right > width + 1 or bottom > height + 1
    ]
    return pairs + outside
