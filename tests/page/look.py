"""Looks at pages in Chromium: takes pictures, tries what readers do, and fails at what must not be.

    python3 tests/page/look.py FOLDER OUT [SWEEP…]

FOLDER is a results folder whose sweeps have `report.html`; pictures go to OUT. Fails if a page asks for anything but
itself, writes an error to the console, scrolls sideways, has overlapping texts in a chart, or if sorting, filtering,
comparing or keys do not do what they should. Needs `pip install playwright` and Chromium (`CHROMIUM` names it).
"""

import os
import pathlib
import sys
import time

from playwright.sync_api import sync_playwright

FAULTS = []
# Texts of one chart that lie upon each other.
OVERLAPS = """() => [...document.querySelectorAll('svg')].flatMap((svg) => {
  const boxes = [...svg.querySelectorAll('text')].map((t) => [t.textContent, t.getBoundingClientRect()]).filter(([, b]) => b.width);
  const found = [];
  boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
    const x = Math.min(p.right, q.right) - Math.max(p.left, q.left), y = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (x > 2 && y > 4) found.push(`${svg.getAttribute('class')}: "${a}" on "${b}"`);
  }));
  return found;
})"""


LEFT = "document.querySelectorAll('#board tbody tr:not([hidden])').length"


def check(is_so, what):
    if not is_so:
        FAULTS.append(what)
        print("FAULT", what)


def becomes(page, expression):
    """Whether an expression of JavaScript becomes true within 5 seconds."""
    # Not `wait_for_function`, which the page's policy does not let evaluate anything later.
    for _ in range(50):
        if page.evaluate(expression):
            return True
        page.wait_for_timeout(100)
    return False


def numbers(page, column):
    cells = page.eval_on_selector_all(f"#board tbody tr:not([hidden]) td:nth-child({column})", "all => all.map(e => e.textContent)")
    return [float(cell.split()[0]) for cell in cells if cell.strip() and cell[0] in ".0123456789"]


def use(page, name):
    heads = page.eval_on_selector_all("#board thead th", "all => all.map(e => e.innerText.trim())")
    column = next(at for at, head in enumerate(heads) if head.startswith("val loss")) + 1
    button = page.locator(f"#board thead th:nth-child({column}) button")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(400)
    found = numbers(page, column)
    check(found == sorted(found), f"{name}: not sorted upwards")
    page.keyboard.press("Enter")
    page.wait_for_timeout(400)
    found = numbers(page, column)
    check(found == sorted(found, reverse=True), f"{name}: not sorted downwards")
    page.keyboard.press("Enter")
    page.fill("#filter input", "val loss<0.25")
    page.wait_for_timeout(400)
    check(all(value < 0.25 for value in numbers(page, column)), f"{name}: not filtered")
    page.fill("#filter input", "")
    page.click("text=Compare the first 5")
    page.wait_for_timeout(400)
    lines = page.locator("#curves .compared").count()
    trials = page.locator("#board tbody tr").count()
    check(lines == min(5, trials), f"{name}: {lines} curves compared")
    chart = page.locator("#curves svg")
    chart.focus()
    page.keyboard.press("ArrowRight")
    check("epoch" in page.inner_text("#tip"), f"{name}: keys do not walk along curves")
    page.keyboard.press("ArrowUp")
    if page.locator("#parallel .coordinate").count():
        axis = page.locator("#parallel .coordinate").last
        axis.focus()
        for _ in range(4):
            page.keyboard.press("ArrowUp")
        check(becomes(page, f"{LEFT} < {trials}"), f"{name}: an axis does not filter by keys")
        page.keyboard.press("Escape")
        check(becomes(page, f"{LEFT} === {trials}"), f"{name}: Escape does not end the filter")


def look(browser, file, out):
    name = file.parent.name
    for kind, width, dark in (("wide", 1280, False), ("dark", 1280, True), ("phone", 400, False)):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
        page = context.new_page()
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        begun = time.monotonic()
        page.goto(file.as_uri())
        opened = time.monotonic() - begun
        page.wait_for_timeout(200)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        check(wide <= 0, f"{name} {kind}: scrolls sideways by {wide}")
        for overlap in page.evaluate(OVERLAPS)[:5]:
            check(False, f"{name} {kind}: {overlap}")
        if kind == "wide":
            print(f"{name}: {file.stat().st_size / 1e6:.2f} MB, opened in {opened:.2f} s")
            check(opened < 1, f"{name}: opened in {opened:.2f} s")
            check(file.stat().st_size <= 3_000_000, f"{name}: {file.stat().st_size} bytes")
        use(page, f"{name} {kind}")
        page.screenshot(path=out / f"{name}-{kind}.png", full_page=True)
        if kind == "wide":
            page.pdf(path=out / f"{name}.pdf", prefer_css_page_size=True)
        check(not said, f"{name} {kind}: console: {said[:3]}")
        check(all(url == file.as_uri() for url in asked), f"{name} {kind}: asked for {set(asked)}")
        context.close()
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(file.as_uri())
    page.screenshot(path=out / f"{name}-noscript.png", full_page=True)
    context.close()


def main():
    folder, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    files = sorted(folder.glob("*/report.html"))
    files = [file for file in files if not sys.argv[3:] or file.parent.name in sys.argv[3:]]
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for file in files:
            look(browser, file, out)
        browser.close()
    print(f"{len(files)} pages, {len(FAULTS)} faults")
    sys.exit(bool(FAULTS))


main()
