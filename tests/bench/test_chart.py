"""chart.py: labels that can be read, and a line to compare each curve with."""

import re
import unittest
import xml.etree.ElementTree as ElementTree

from chart import FONT, LINEAR, MEASURED, number, picture, ticks

# Values as they come: level ones, wide ones, zeros, and sizes that are close to each other.
RESULTS = [
    ("disks", (1, 10, 100, 1000), {
        "`ls -l block/`, ms": [0.115, 0.244, 0.99, 12.4], "`cat block/d0/status`, ms": [0.155, 0.322, 1.58, 7.17],
        "memory after reading all of `block/`, MB": [0.0041, 0.127, 0.545, 0]}),
    ("objects in the object model", (10, 100, 1000, 3000), {"`find qom/`, ms": [0.565, 4.34, 43.6, 142]}),
    ("parked readers", (1, 100, 1000, 10000), {
        "memory of parked readers, MB": [0, 0.00819, 0.7, 7.61],
        "`cat status` <now> & then, ms": [0.0265, 0.0269, 0.0277, 0.0409],
        "nothing, MB": [0, 0, 0, 0]}),
    ("events", (1000, 10000, 50000), {
        "so many events, ms": [3.61, 33.2, 168], "events per second": [162000, 184000, 181000]}),
]
PANELS = sum(len(rows) for _, _, rows in RESULTS)


def box(element):
    """left, top, right, bottom of a text, estimated generously."""
    x, y, width = float(element.get("x")), float(element.get("y")), len(element.text) * FONT * 0.62
    left = x - {"start": 0, "middle": width / 2, "end": width}[element.get("text-anchor")]
    return left, y - FONT * 0.8, left + width, y + FONT * 0.2


class Chart(unittest.TestCase):
    def setUp(self):
        self.svg = ElementTree.fromstring(re.sub(r' xmlns="[^"]*"', "", picture(RESULTS), count=1))

    def test_numbers_are_written_in_full(self):
        self.assertEqual([number(value) for value in (0.0001, 0.05, 1, 200, 10000, 1e6)],
                         ["0.0001", "0.05", "1", "200", "10,000", "1,000,000"])
        for text in self.svg.iter("text"):
            self.assertNotRegex(text.text, r"\de[+-]?\d|\d\.\d*0000")

    def test_ticks_are_round_and_enclose(self):
        self.assertEqual(ticks(120, 900), [100, 200, 500, 1000])
        self.assertEqual(ticks(0.11, 12.4), [0.1, 1, 10, 100])
        for low, high in ((1, 10), (0.0265, 0.41), (3, 168), (1e-4, 1e4), (162000, 1840000), (100, 1001)):
            found = ticks(low, high)
            self.assertLessEqual(found[0], low * 1.001)
            self.assertGreaterEqual(found[-1], high / 1.001)
            self.assertIn(len(found), range(2, 10))

    def test_no_label_overlaps_another_or_leaves_the_picture(self):
        texts = [(text.text, box(text)) for text in self.svg.iter("text")]
        for n, (words, (left, top, right, bottom)) in enumerate(texts):
            self.assertTrue(left >= 0 and top >= 0 and right <= float(self.svg.get("width"))
                            and bottom <= float(self.svg.get("height")), words)
            for other, (left2, top2, right2, bottom2) in texts[n + 1:]:
                self.assertFalse(left < right2 and left2 < right and top < bottom2 and top2 < bottom, (words, other))

    def test_a_unit_and_a_linear_line_in_each_panel(self):
        words = [text.text for text in self.svg.iter("text")]
        for title in ("ls -l block/ in ms", "memory of parked readers in MB", "events per second",
                      "cat status <now> & then in ms"):
            self.assertIn(title, words)
        # One is in the legend; where the last value is 0 there is nothing to lead to.
        lines = [line for line in self.svg.iter("line") if line.get("stroke") == LINEAR]
        self.assertEqual(len(lines), PANELS - 2 + 1)

    def test_linear_growth_lies_on_the_line(self):
        svg = ElementTree.fromstring(picture([("things", (1, 10, 100), {"time, ms": [2, 20, 200]})]))
        name = "{http://www.w3.org/2000/svg}"
        line = [line for line in svg.iter(f"{name}line") if line.get("stroke") == LINEAR][-1]
        curve = next(svg.iter(f"{name}polyline"))
        self.assertEqual(curve.get("stroke"), MEASURED)
        points = curve.get("points").split()
        self.assertEqual([points[0], points[-1]], [f"{line.get(f'x{end}')},{line.get(f'y{end}')}" for end in (1, 2)])


if __name__ == "__main__":
    unittest.main()
