"""Measures how long pages take to open in Chromium.

    python3 tests/page/opens.py PAGE.html…

Opens each page nine times from disk, each time in a new browser, and prints medians in milliseconds from the start of the
navigation: until something is painted, until the page is loaded, and until its script has done what it does at the start.
Needs `pip install playwright` and Chromium (`CHROMIUM` names it).
"""

import os
import pathlib
import statistics
import sys

from playwright.sync_api import sync_playwright

TIMES = 9
# The second frame after the load: what the load's handlers have changed is painted then.
TIMINGS = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
  const load = performance.getEntriesByType('navigation')[0].loadEventEnd;
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  done([paint ? paint.startTime : NaN, load, performance.now()]);
})))"""


def main():
    print("| page | bytes | first paint | loaded | ready |\n| --- | --: | --: | --: | --: |")
    with sync_playwright() as playwright:
        for name in sys.argv[1:]:
            path, found = pathlib.Path(name).resolve(), []
            for _ in range(TIMES):
                browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"), args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.goto(path.as_uri(), wait_until="load")
                found.append(page.evaluate(TIMINGS))
                browser.close()
            cells = " | ".join(f"{statistics.median(each):.0f}" for each in zip(*found))
            print(f"| {path.parent.name} | {path.stat().st_size:,} | {cells} |", flush=True)


main()
