"""The table: on the terminal, as Markdown, as JSON and as a picture."""

import json
from html import escape

COLUMNS = ("row", "what", "goal", "figure", "p10", "p90", "verdict")
UNITS = {
    "×": lambda value: f"{value:.2f} ×" if value >= 0.1 else f"{value:.2g} ×",
    "1/": lambda value: f"1/{1 / value:.1f}".replace(".0", ""),
    "%": lambda value: f"{value * 100:.1f} %",
    "MB": lambda value: f"{value / 1e6:.1f} MB",
    "B": lambda value: f"{value:.0f} B",
    "µs": lambda value: f"{value:.0f} µs",
    "": lambda value: f"{value:g}",
}


def text(row, value):
    return "" if value is None else UNITS[row.unit](value)


def goal_text(row):
    return "" if row.goal is None else f"{'≥' if row.at_least else '≤'} {text(row, row.goal)}"


def verdict(row, result):
    if result.figure is None:
        return "not measured"
    if row.goal is None:
        return ""
    value = result.figure.value
    return "met" if (value >= row.goal if row.at_least else value <= row.goal) else "missed"


def cells(row, result):
    figure = result.figure
    values = [text(row, value) for value in (figure.value, figure.p10, figure.p90)] if figure else ["", "", ""]
    why = f": {result.why}" if result.figure is None else ""
    return [row.name, row.what, goal_text(row), *values, verdict(row, result) + why]


def terminal(results):
    lines = [list(COLUMNS), *(cells(row, result) for row, result in results)]
    plain = [[cell.replace("`", "") for cell in line] for line in lines]
    widths = [max(len(line[n]) for line in plain) for n in range(len(COLUMNS) - 1)]
    return "\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(line, widths)), line[-1]]) for line in plain)


def markdown(results, facts):
    def line(values):
        return "| " + " | ".join(value.replace("|", "\\|").replace("\n", " ") for value in values) + " |"
    notes = [f"- {row.name}: {result.figure.note}" for row, result in results if result.figure and result.figure.note]
    return "\n".join([", ".join(f"{name} {value}" for name, value in facts.items()), "", line(COLUMNS),
                      line(["---"] * len(COLUMNS)), *(line(cells(row, result)) for row, result in results), "", *notes, ""])


def as_json(results, facts):
    def entry(row, result):
        figure = result.figure
        found = {"row": row.name, "what": row.what, "goal": row.goal, "at_least": row.at_least, "unit": row.unit,
                 "verdict": verdict(row, result)}
        if figure is None:
            return {**found, "why": result.why}
        # Absolute times (µs) are the machine's; they are here to judge the ratios by.
        return {**found, "figure": figure.value, "p10": figure.p10, "p90": figure.p90, "medians": figure.seen,
                "note": figure.note}
    return json.dumps({"facts": facts, "rows": [entry(*pair) for pair in results]}, indent=1, ensure_ascii=False)


# --- the picture ------------------------------------------------------------------------------------------------------

LINE = 22
NAMES = 300  # where bars begin
AT_GOAL = 260  # how long the bar is of a row that just meets its goal
LONGEST = 1.6  # times that; what is longer is cut
WIDTH = 1000
COLOURS = {"met": "#2e7d32", "missed": "#c62828", "not measured": "#9e9e9e", "": "#5c6bc0"}


def share_of_goal(row, value):
    """1 is the goal; the less the better, also where the figure shall be high."""
    if not row.goal:
        return float(value > 0) * LONGEST
    return row.goal / value if row.at_least else value / row.goal


def bar(row, result, y):
    """The row's name, its bar, and its figure behind it."""
    said = verdict(row, result)
    middle = y + LINE / 2 + 4
    parts = [f'<text x="{NAMES - 8}" y="{middle}" text-anchor="end">{escape(row.name)}</text>']
    length, label = 0, result.why or ""
    if result.figure:
        share = share_of_goal(row, result.figure.value) if row.goal is not None else 0
        length = min(share, LONGEST) * AT_GOAL
        label = f"{text(row, result.figure.value)}  (goal {goal_text(row) or 'none'})"
    parts.append(f'<rect x="{NAMES}" y="{y + 3}" width="{length:.1f}" height="{LINE - 6}" fill="{COLOURS[said]}">'
                 f"<title>{escape(row.what)}</title></rect>")
    parts.append(f'<text x="{NAMES + max(length, AT_GOAL) + 8:.1f}" y="{middle}" fill="{COLOURS[said]}">'
                 f"{escape(label[:44])}</text>")
    return "\n".join(parts)


def picture(results, facts):
    top = 50
    height = top + LINE * len(results) + 30
    goal = NAMES + AT_GOAL
    bars = "\n".join(bar(row, result, top + n * LINE) for n, (row, result) in enumerate(results))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"
 font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="10" y="20" font-size="15">qmpfs: each figure as a part of what its goal allows; up to the line is met</text>
<text x="10" y="38" fill="#616161">{escape(", ".join(f"{name} {value}" for name, value in facts.items()))}</text>
{bars}
<line x1="{goal}" y1="{top - 4}" x2="{goal}" y2="{height - 24}" stroke="black" stroke-dasharray="4 3"/>
<text x="{goal}" y="{height - 8}" text-anchor="middle">goal</text>
</svg>
"""
