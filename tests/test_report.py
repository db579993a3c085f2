"""The page: complete in itself, safe against what it is told, and readable by everybody."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lifeworth import plots
from lifeworth.errors import SourceError, UsageError
from lifeworth.report import (
    Comparison,
    ComparisonRow,
    DataAudit,
    FitTable,
    Headline,
    Parameter,
    Picture,
    ReportContent,
    Section,
    Source,
    Table,
    Trap,
    render_report,
    write_report,
)
from lifeworth.report.numbers import clean, write_percent, write_value

NASTY = "<script>alert('x')</script>\"><img src=x onerror=alert(1)> {{ 7*7 }} &amp; Ünï ☃ \u202egnp"
VOID = {"meta", "img", "br", "hr", "link", "source", "input", "base"}


class Page(HTMLParser):
    """The tree of a page, as far as the tests ask about it."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.text, self.unclosed = [], [], {}, []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        self.text.setdefault(tag, [])
        self.text[tag].append("")

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.unclosed.append(tag)
        else:
            self.open.pop()

    def handle_data(self, data):
        for tag in set(self.open):
            self.text[tag][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def figure():
    return plots.plot_value_distribution(np.random.default_rng(0).lognormal(1, 1, 500), currency="EUR")


def full():
    frame = pd.DataFrame({"name": ["x", None], "value": [1234.5, np.nan], "when": pd.to_datetime(["2026-01-31", None])})
    return ReportContent(
        title="What they are worth",
        subtitle="Past and future.",
        generated="1 February 2026",
        headlines=[Headline("Spent", "USD 1.2 m", "so far"), Headline("Expected", "USD 0.4 m")],
        summary=["One paragraph.", "Another."],
        comparisons=[
            Comparison(
                "Spend in 39 weeks",
                [
                    ComparisonRow("Model", 900.0, 1000.0, lower=850.0, upper=950.0, best=True),
                    ComparisonRow("Formula", 1500.0, 1000.0, note="too high"),
                    ComparisonRow("Unknown", None, 1000.0),
                ],
                "Foretold (USD)",
                format=",.0f",
            )
        ],
        pictures=[Picture("Values", "A histogram of values.", figure(), "Read it from the left.")],
        sections=[Section("More", ["Text."], [Picture("Again", "The same.", figure())], [Table("Inner", frame)])],
        tables=[Table("Outer", frame, {"value": ",.1f"}, headings={"value": "Value (USD)"})],
        fits=[
            FitTable("BG/NBD", [Parameter("r", 0.2451, 0.0039, 0.2387, 0.2515, 2210.4, np.nan)], "ok", ["Converged."]),
            FitTable("Gamma-Gamma", [Parameter("p", 6.2)], "fail", ["It did not mix."]),
        ],
        audit=DataAudit(100, 90, {"no date": 10}, ["Amounts are in USD."], 23, "1997 to 1998"),
        traps=[Trap("The mean", "hides the rest."), "Be careful."],
        sources=[Source("A paper.", "https://doi.org/10.1000/x"), "A book."],
        footer=["lifeworth 0.1.0"],
    )


@pytest.fixture(scope="module")
def page():
    return Page(render_report(full()))


def test_a_title_is_enough():
    page = Page(render_report(ReportContent(title="Nothing yet")))
    assert page.text["h1"] == ["Nothing yet"]
    assert page.text["title"] == ["Nothing yet"]
    assert not {"h2", "table", "img", "dl", "nav", "footer"} & set(page.text)


def test_the_page_is_well_formed(page):
    assert page.unclosed == []
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in ids
    inner = [a["href"].removeprefix("#") for a in page.all("a") if a["href"].startswith("#")]
    assert set(inner) <= set(ids)
    assert "content" in inner  # the skip link


def test_headings_go_down_one_level_at_a_time(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_landmarks_language_and_names(page):
    assert page.all("html")[0]["lang"] == "en"
    for tag in ("header", "main", "nav", "footer"):
        assert len(page.all(tag)) == 1
    assert page.all("nav")[0]["aria-label"]
    assert page.all("meta")[0] == {"charset": "utf-8"}
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))


def test_tables_have_captions_and_scopes_and_scroll_in_their_own_box(page):
    assert len(page.all("caption")) == len(page.all("table")) == 6
    assert all(th.get("scope") in ("col", "row") for th in page.all("th"))
    boxes = [div for div in page.all("div") if div.get("class") == "scroll"]
    assert len(boxes) == 6
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)


def test_pictures_have_alt_and_stand_in_the_page(page):
    images = page.all("img")
    assert [image["alt"] for image in images] == ["A histogram of values.", "The same."]
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in images)
    assert all(int(image["width"]) > 0 and int(image["height"]) > 0 for image in images)
    assert all(source["srcset"].startswith("data:image/svg+xml;base64,") for source in page.all("source"))


def test_nothing_is_loaded_and_nothing_runs():
    html = render_report(full())
    page = Page(html)
    assert not {"script", "link", "iframe", "object", "embed", "form", "base", "video"} & set(page.text)
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "srcset"):
            assert attributes.get(name, "data:").startswith("data:")
    assert not re.search(r"@import|url\(", page.text["style"][0])
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(page.text["style"][0].encode()).digest()).decode()
    assert (
        policy == f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    links = [a["href"] for a in page.all("a") if not a["href"].startswith("#")]
    assert links == ["https://doi.org/10.1000/x"]


def test_the_address_of_a_source_is_an_address():
    with pytest.raises(UsageError, match="must start with https"):
        Source("A trap.", "javascript:alert(1)")


def hostile():
    frame = pd.DataFrame([[NASTY, 1.0]], columns=[NASTY, "value"])
    return ReportContent(
        title=NASTY,
        subtitle=NASTY,
        generated=NASTY,
        eyebrow=NASTY,
        headlines=[Headline(NASTY, NASTY, NASTY)],
        summary=[NASTY],
        comparisons=[Comparison(NASTY, [ComparisonRow(NASTY, 1.0, 2.0, note=NASTY)], NASTY, NASTY)],
        pictures=[Picture(NASTY, NASTY, figure(), NASTY)],
        sections=[Section(NASTY, [NASTY])],
        tables=[Table(NASTY, frame, {"value": lambda _value: NASTY}, NASTY)],
        fits=[FitTable(NASTY, [Parameter(NASTY, 1.0, meaning=NASTY)], "warn", [NASTY], NASTY)],
        audit=DataAudit(1, 1, {NASTY: 1}, [NASTY], 1, NASTY),
        traps=[Trap(NASTY, NASTY), NASTY],
        sources=[Source(NASTY, 'https://example.org/"><script>'), NASTY],
        footer=[NASTY],
        language='en"><script>',
    )


def test_hostile_texts_stay_texts():
    html = render_report(hostile())
    page = Page(html)
    assert "script" not in page.text
    assert len(page.all("img")) == 1
    assert page.unclosed == []
    assert page.open == []
    seen = NASTY.replace("\u202e", "\ufffd")
    assert page.text["h1"] == [seen]
    assert page.text["caption"].count(seen) == 2
    assert seen in page.text["td"]
    assert page.all("img")[0]["alt"] == seen
    assert "49" not in page.text["h1"][0]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_characters_that_hide_are_shown():
    assert clean("a\x00b\x1b[31m\ud800\u202ec") == "a\ufffdb\ufffd[31m\ufffd\ufffdc"
    assert clean("Ünï ☃ 漢字 👩‍👩‍👧 \n") == "Ünï ☃ 漢字 👩‍👩‍👧 \n"
    assert render_report(ReportContent(title="\ud800")).encode("utf-8")


def test_missing_numbers_are_said(page):
    cells = page.text["td"] + page.text["th"]
    assert "n/a" in cells
    assert not {"nan", "NaN", "None", "NaT", "<NA>"} & {cell.strip() for cell in cells}


def test_what_is_left_out_of_a_comparison_is_worked_out(page):
    cells = page.text["td"]
    assert "−10.0 %" in cells
    assert "+50.0 %" in cells
    assert "850 to 950" in cells
    assert "What happened" in page.text["th"]
    untold = Comparison("Only said", [ComparisonRow("Model", 5.0)])
    alone = Page(render_report(ReportContent(title="x", comparisons=[untold])))
    assert alone.text["th"] == ["Method", "Foretold", "Model"]
    assert alone.text["h2"] == ["Comparison"]
    free = ComparisonRow("Model", 5.0, 0.0)  # no relative error of nothing
    assert "n/a" in Page(render_report(ReportContent(title="x", comparisons=[Comparison("c", [free])]))).text["td"]


def test_a_fit_that_is_not_sound_is_said_at_the_top():
    html = render_report(full())
    assert html.index("Gamma-Gamma: do not use.") < html.index("Summary")
    assert html.count('class="notice') == 1
    assert "✓" in html
    assert "Sound" in html
    with pytest.raises(UsageError, match="'fine'"):
        FitTable("x", verdict="fine")


def test_posterior_numbers_have_as_many_digits_as_are_known(page):
    cells = page.text["td"]
    for number in ("0.2451", "0.0039", "0.2387", "2,210", "6.200"):
        assert number in cells


def test_long_tables_are_cut_and_say_so():
    frame = pd.DataFrame({"customer": range(5000), "value": 1.0})
    html = render_report(ReportContent(title="x", tables=[Table("Customers", frame)]))
    assert "The first 50 of 5,000 rows." in html
    assert html.count("<tr>") == 51
    empty = render_report(ReportContent(title="x", tables=[Table("Customers", frame.iloc[:0])]))
    assert "There is nothing to list." in empty


def test_columns_of_one_name_do_not_confuse():
    frame = pd.DataFrame([["a", 1, 2]], columns=["name", "n", "n"])
    assert Page(render_report(ReportContent(title="x", tables=[Table("Twice", frame)]))).text["td"] == ["1", "2"]


def test_rows_all_used_is_said():
    html = render_report(ReportContent(title="x", audit=DataAudit(5, 5)))
    assert "Every row that was read was used." in html
    assert "Time covered" not in html
    assert "Time covered: 1997 to 1998." in render_report(full())


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (None, "", "n/a"),
        (float("nan"), ",.2f", "n/a"),
        (pd.NA, "", "n/a"),
        (pd.NaT, "", "n/a"),
        (np.float64("inf"), "", "∞"),
        (-np.inf, "", "−∞"),
        (0.0, "", "0"),
        (np.int64(1234567), "", "1,234,567"),
        (1234.5, "", "1,234"),
        (-12.345, "", "−12.35"),
        (0.00123, "", "0.001230"),
        (1e-9, "", "1.00e−09"),
        (0.123, ".1%", "12.3 %"),
        (True, "", "True"),
        (np.True_, "", "True"),
        (pd.Timestamp("2026-01-31"), "", "2026-01-31"),
        (pd.Timestamp("2026-01-31 14:05"), "", "2026-01-31 14:05"),
        ("a-b", ",.2f", "a-b"),
        (3, lambda value: f"<{value}>", "<3>"),
    ],
)
def test_values_are_written_for_readers(value, form, text):
    assert write_value(value, form) == text


def test_percentages_are_written_for_readers():
    assert [write_percent(value, signed=True) for value in (0.5, -0.031, None, np.inf)] == [
        "+50.0 %",
        "−3.1 %",
        "n/a",
        "∞",
    ]


def test_a_page_of_many_pictures_stays_small():
    random = np.random.default_rng(1)
    crowd = Figure(figsize=(6, 4))
    crowd.add_subplot().scatter(random.random(20_000), random.random(20_000), s=2)  # megabytes as SVG
    past = random.lognormal(2, 2, 20_000)
    drawings = [figure() for _ in range(8)] + [plots.plot_past_future(past, past[::-1]) for _ in range(4)] + [crowd]
    html = render_report(ReportContent(title="x", pictures=[Picture("x", "x", drawing) for drawing in drawings]))
    assert len(html.encode()) < 1_500_000
    assert Page(html).all("img")[-1]["src"].startswith("data:image/png;base64,")


def test_pictures_come_as_bytes_too():
    png, svg = plots.to_png(figure()), plots.to_svg(figure()).encode()
    html = render_report(
        ReportContent(title="x", pictures=[Picture("a", "a", png), Picture("b", "b", svg, narrow=png)])
    )
    first, second = Page(html).all("img")
    assert first["src"].startswith("data:image/png")
    assert second["src"].startswith("data:image/svg+xml")
    assert (first["width"], first["class"]) == ("1360", "plate")
    assert Page(html).all("source")[0]["srcset"].startswith("data:image/png")
    for wrong in (b"GIF89a", b"", b"<html><svg></svg></html>", "a path"):
        with pytest.raises(UsageError, match="must be a Matplotlib figure"):
            render_report(ReportContent(title="x", pictures=[Picture("a", "a", wrong)]))
    with pytest.raises(UsageError, match="needs an alt text"):
        Picture("a", " ", png)


def test_the_same_content_gives_the_same_page():
    assert render_report(full()) == render_report(full())


def test_the_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    assert write_report(full(), path) == path
    before = path.read_text(encoding="utf-8")
    assert before.startswith("<!doctype html>")
    assert before.rstrip().endswith("</html>")

    def full_disk(_self, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full_disk)
    with pytest.raises(SourceError, match="No space left on device"):
        write_report(ReportContent(title="new"), path)
    monkeypatch.undo()
    assert path.read_text(encoding="utf-8") == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_a_file_in_the_way_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match="cannot be written"):
        write_report(ReportContent(title="x"), tmp_path / "file" / "report.html")
