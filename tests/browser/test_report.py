"""The pages in a real browser: Chromium without a window, driven by playwright, judged by axe-core.

Where there is no Chromium these tests are skipped; in CI they fail instead. `make browser` installs it on Debian.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reco_platform.reports.run_page import run_page
from reco_platform.reports.sweep_page import sweep_page
from support import page_facts as pagefacts
from support.project import Project, Run

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

WIDTHS = (360, 1440)
PAGES = ("run", "made_up_run", "sweep_of_two_axes", "sweep_of_three_axes")
OVERFLOWING = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (one) => one.closest('.scroll') !== null;
  return [...document.body.querySelectorAll('*')]
    .filter((one) => !one.closest('.skip') && !scrolls(one) && one.getBoundingClientRect().right > width + 1)
    .map((one) => one.tagName + ' ' + one.textContent.slice(0, 40));
}"""
PICTURES = """() => [...document.querySelectorAll('svg, img')].map((one) => {
  const box = one.getBoundingClientRect();
  const named = (one.getAttribute('aria-labelledby') || '').split(' ').map((id) => document.getElementById(id));
  return {
    sized: box.width > 100 && box.height > 30 && one.hasAttribute('width') && one.hasAttribute('height'),
    named: one.getAttribute('role') === 'img' && named.every((text) => text && text.textContent.length > 3),
  };
})"""
SMALLEST_TEXT = """() => Math.min(...[...document.querySelectorAll('svg text')].map((one) => {
  const {a, b} = one.getScreenCTM();
  return parseFloat(getComputedStyle(one).fontSize) * Math.hypot(a, b);
}))"""


def chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")  # before the run that the pages are of: without a browser there need be none
def browser() -> Iterator[Any]:
    path = chromium()
    if path is None:
        message = "there is no Chromium: `make browser` installs Debian's, or CHROMIUM names one"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path)
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(built_run: tuple[Project, Run], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind: of a real run, and of made-up facts with what would break a careless one."""
    folder = tmp_path_factory.mktemp("pages")
    texts = {
        "run": next(built_run[0].lakehouse().glob("reports/*.html")).read_text("utf-8"),
        "made_up_run": run_page(pagefacts.run_facts()),
        "sweep_of_two_axes": sweep_page(pagefacts.sweep_facts(rank=[10, 50], reg_param=[0.05, 0.1, 0.2])),
        "sweep_of_three_axes": sweep_page(pagefacts.sweep_facts(rank=[1, 2], reg_param=[0, 1], biased=[True, False])),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_asks_for_nothing_fits_and_is_accessible(
    browser: Any, files: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    said: list[str] = []
    asked: list[str] = []
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(files[name].as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert said == []
        assert [url for url in asked if not url.startswith("data:")] == [files[name].as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(OVERFLOWING) == []
        pictures = page.evaluate(PICTURES)
        assert len(pictures) >= 4 and all(one["sized"] and one["named"] for one in pictures)
        assert page.evaluate(SMALLEST_TEXT) >= 9, "pixels; text in charts is readable"
        found = Axe().run(page).response["violations"]
        serious = [one for one in found if one["impact"] in {"serious", "critical"}]
        assert [(one["id"], [node["html"][:100] for node in one["nodes"]][:3]) for one in serious] == []


def test_a_page_does_not_move_while_it_loads(browser: Any, files: dict[str, Path]) -> None:
    watch = """window.moved = 0; new PerformanceObserver((list) => list.getEntries().forEach((one) => {
      window.moved += one.value; })).observe({type: 'layout-shift', buffered: true});"""
    with browser.new_context(viewport={"width": 360, "height": 900}) as context:
        page = context.new_page()
        page.add_init_script(watch)
        page.goto(files["run"].as_uri())
        page.wait_for_timeout(300)
        assert page.evaluate("window.moved") == 0


def test_the_keyboard_finds_the_skip_link_first_and_then_the_sections(browser: Any, files: dict[str, Path]) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(files["run"].as_uri())
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#content"
        assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0, "it is seen"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#quality"


def test_paper_is_white_has_the_hidden_numbers_and_no_navigation(browser: Any, files: dict[str, Path]) -> None:
    with browser.new_context(color_scheme="dark") as context:
        page = context.new_page()
        page.goto(files["run"].as_uri())
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("nav").is_visible()
        assert page.locator("details table").first.is_visible()
        assert page.pdf(format="A4").startswith(b"%PDF")
