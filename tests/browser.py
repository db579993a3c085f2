"""A real browser for the tests: Debian's Chromium, driven by Playwright, with no way to any network."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE = {"width": 375, "height": 667}
DESK = {"width": 1000, "height": 900}

# Every visible piece of text with its contrast (WCAG 2) against the first opaque ground behind it.
CONTRASTS = """() => {
  const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = colour => {
    paint.clearRect(0, 0, 1, 1); paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
      if (colour[3] > 0) throw new Error('a ground that shines through: ' + at.outerHTML.slice(0, 80));
    }
    return rgba(getComputedStyle(document.documentElement).colorScheme.includes('dark')
      && matchMedia('screen and (prefers-color-scheme: dark)').matches ? '#000' : '#fff');
  };
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    const element = node.parentElement, style = getComputedStyle(element);
    if (!node.data.trim() || style.visibility !== 'visible' || !element.getClientRects().length) continue;
    const [a, b] = [light(rgba(style.color)), light(ground(element))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.data.trim().slice(0, 40)]);
  }
  return found;
}"""

# What is written in a picture, where, and in which colour.
WORDS = """() => [...document.querySelectorAll('text')].filter(t => t.textContent.trim()).map(t => {
  const box = t.getBoundingClientRect();
  return {text: t.textContent.trim(), left: box.left, right: box.right, top: box.top, bottom: box.bottom,
          turned: /rotate\\(-90/.test(t.getAttribute('transform')), fill: getComputedStyle(t).fill};
})"""


@contextmanager
def browser() -> Iterator[Any]:
    """A Chromium, or a skipped test where the machine has none."""
    if CHROMIUM is None:
        pytest.skip("this machine has no Chromium to open the page in; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # In a container root may not have the sandbox, nor much of /dev/shm; and the pages are our own.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield opened
        finally:
            opened.close()


class Sight:
    """A page as a browser shows it, and what the browser had to say while it did.

    Attributes
    ----------
    page : Playwright's page.
    said : everything on the console, and every error.
    asked : every address asked for but the page itself; none of them was answered.
    """

    def __init__(self, page: Any) -> None:
        self.page, self.said = page, list[str]()
        self.asked = set[str]()
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))

    def open(self, path: Path) -> "Sight":
        """Open a file, and let nothing else be loaded."""
        address = path.resolve().as_uri()

        def answer(route: Any) -> None:
            asked = route.request.url
            if asked == address:
                route.continue_()
                return
            self.asked.add(asked)
            route.abort()

        self.page.route("**/*", answer)
        self.page.on("request", lambda request: self._note(request.url, address))
        self.page.goto(address, wait_until="load")
        # Pictures below the fold are loaded when they are reached.
        self.page.evaluate("Promise.all([...document.images].map(i => { i.loading = 'eager'; return i.decode() }))")
        return self

    def _note(self, asked: str, address: str) -> None:
        if asked != address and not asked.startswith("data:"):
            self.asked.add(asked)

    def contrasts(self) -> list[tuple[float, str]]:
        """The contrast of every piece of text with its ground, the weakest first."""
        return sorted((ratio, text) for ratio, text in self.page.evaluate(CONTRASTS))


@contextmanager
def sight(opened: Any, path: Path, *, dark: bool = False, viewport: dict[str, int] | None = None) -> Iterator[Sight]:
    """A page opened from disk by a reader of this kind."""
    context = opened.new_context(viewport=viewport or DESK, color_scheme="dark" if dark else "light")
    try:
        yield Sight(context.new_page()).open(path)
    finally:
        context.close()


def pictures(page: Any) -> list[tuple[str, str]]:
    """The SVG pictures of a page, as it shows them just now: (alternative text, source of the picture)."""
    shown = page.evaluate("[...document.images].map(i => [i.alt, i.currentSrc])")
    head = "data:image/svg+xml;base64,"
    return [(alt, base64.b64decode(src.removeprefix(head)).decode()) for alt, src in shown if src.startswith(head)]


def words_of(page: Any, svg: str) -> tuple[list[dict[str, Any]], tuple[float, float]]:
    """What is written in a picture, each word with its place and colour; and width and height of the sheet."""
    page.set_content(f"<style>body{{margin:0}}</style>{svg}")
    sheet = page.evaluate("(s => [s.width, s.height])(document.querySelector('svg').getBoundingClientRect())")
    return page.evaluate(WORDS), (sheet[0], sheet[1])


def misplaced(words: list[dict[str, Any]], sheet: tuple[float, float]) -> list[str]:
    """The words of a picture that are cut at the edge of the sheet, and those that stand on each other."""
    width, height = sheet
    found = [
        f"{word['text']} is cut"
        for word in words
        if min(word["left"], word["top"], width - word["right"], height - word["bottom"]) < -1
    ]
    for one, other in combinations(words, 2):
        wide = min(one["right"], other["right"]) - max(one["left"], other["left"])
        high = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
        if one["turned"] and other["turned"]:
            wide, high = high, wide
        # Lines of text have so much air above and below; words beside each other need some between them.
        beside = -2 if one["turned"] == other["turned"] else 1
        if wide > beside and high > 4:
            found.append(f"{one['text']} stands on {other['text']}")
    return found
