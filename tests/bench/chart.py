"""Growth as a picture: a panel for each quantity, both axes logarithmic, and linear growth as a dashed line."""

import math
from html import escape

COLUMNS = 3
WIDTH, HEIGHT = 320, 250  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 62, 28, 34, 46  # around what is plotted
HEAD = 46  # above the first row of panels
FONT = 11
DASHED = ' stroke-dasharray="5 4"'
MEASURED, LINEAR, GRID, GREY = "#1565c0", "#c62828", "#e0e0e0", "#616161"


def number(value):
    """In full, as people write it: 0.05, 200, 10,000."""
    return f"{value:,.0f}" if value >= 1 else f"{value:.9f}".rstrip("0").rstrip(".")


def ticks(low, high):
    """Round values that enclose `low` and `high`: powers of ten, and if they are few, 2 and 5 times these too."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 2 else (1,)
    values = [step * 10.0 ** power for power in range(first, last + 1) for step in steps]
    # A hair beyond a tick is still at it.
    begin = max(value for value in values if value <= low * 1.001)
    end = min(value for value in values if value >= high / 1.001)
    return [value for value in values if begin <= value <= end]


def text(x, y, words, anchor="middle", colour="black"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def line(x1, y1, x2, y2, colour, more=""):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'


class Panel:
    """`name` is what is measured and its unit, `what` what grows. A value of 0 is one too small to be seen."""

    def __init__(self, what, sizes, name, values, x, y):
        self.what, self.sizes, self.values = what, sizes, values
        self.title, _, self.unit = name.replace("`", "").rpartition(", ")
        if not self.title:
            self.title, self.unit = self.unit, ""
        self.left, self.right = x + LEFT, x + WIDTH - RIGHT
        self.top, self.bottom = y + TOP, y + HEIGHT - BOTTOM
        seen = [value for value in values if value > 0] or [1]
        # A decade at least, so that what is level looks level.
        low, high = min(seen), max(seen)
        spare = max(1, math.sqrt(10 * low / high))
        self.ticks = ticks(low / spare, high * spare)

    def x(self, size):
        share = math.log(size / self.sizes[0]) / math.log(self.sizes[-1] / self.sizes[0])
        return self.left + share * (self.right - self.left)

    def y(self, value):
        share = math.log(value / self.ticks[0]) / math.log(self.ticks[-1] / self.ticks[0])
        return self.bottom - share * (self.bottom - self.top)

    def axes(self):
        for value in self.ticks:
            yield line(self.left, self.y(value), self.right, self.y(value), GRID)
            yield text(self.left - 6, self.y(value) + FONT / 3, number(value), "end", GREY)
        for size in self.sizes:
            yield line(self.x(size), self.top, self.x(size), self.bottom, GRID)
            yield text(self.x(size), self.bottom + FONT + 4, number(size), colour=GREY)
        yield text((self.left + self.right) / 2, self.bottom + 2 * FONT + 10, self.what, colour=GREY)
        yield text(self.left - LEFT + 8, self.top - 16, f"{self.title}{self.unit and ' in '}{self.unit}", "start")

    def linear(self):
        """Through the largest size's value, from where it comes into the panel."""
        size, value = self.sizes[-1], self.values[-1]
        if value <= 0:
            return
        begin = max(self.sizes[0], size * self.ticks[0] / value)
        yield line(self.x(begin), self.y(value * begin / size), self.x(size), self.y(value), LINEAR, DASHED)

    def curve(self):
        points = [(self.x(size), self.y(value)) for size, value in zip(self.sizes, self.values) if value > 0]
        yield (f'<polyline fill="none" stroke="{MEASURED}" stroke-width="2" points="'
               + " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + '"/>')
        for x, y in points:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{MEASURED}"/>'
        for size in (size for size, value in zip(self.sizes, self.values) if value <= 0):
            yield f'<circle cx="{self.x(size):.1f}" cy="{self.bottom:.1f}" r="3" fill="white" stroke="{MEASURED}"/>'

    def draw(self):
        yield from self.axes()
        yield from self.linear()
        yield from self.curve()


def legend():
    y = 24
    return [line(8, y, 40, y, MEASURED, ' stroke-width="2"'), text(46, y + 4, "measured", "start"),
            f'<circle cx="130" cy="{y}" r="3" fill="white" stroke="{MEASURED}"/>',
            text(140, y + 4, "too little to be seen", "start"),
            line(286, y, 318, y, LINEAR, DASHED),
            text(324, y + 4, "linear growth to the same last value; what is flatter grows more slowly", "start")]


def picture(results):
    """`results`: (what grows, sizes, {name: values}) each."""
    panels = [(what, sizes, name, values) for what, sizes, rows in results for name, values in rows.items()]
    width, height = COLUMNS * WIDTH, HEAD + -(-len(panels) // COLUMNS) * HEIGHT
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="{FONT}">',
           '<rect width="100%" height="100%" fill="white"/>', *legend()]
    for n, panel in enumerate(panels):
        out += Panel(*panel, n % COLUMNS * WIDTH, HEAD + n // COLUMNS * HEIGHT).draw()
    return "\n".join([*out, "</svg>", ""])
