"""The built site in a browser: python docs/generate.py, mkdocs build, then pytest -m site."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from spec_tests.project.site_browser import SITES, complaints, moved, pages, prefer, resize, served

pytestmark = pytest.mark.site

CHOSEN = '#explorer [data-t][aria-pressed="true"]'


@pytest.fixture(scope="module", params=SITES)
def any_site(request):
    with served(SITES[request.param]) as address:
        yield SITES[request.param], address


@pytest.fixture(scope="module")
def address():
    with served(SITES["mkdocs"]) as address:
        yield address


@pytest.fixture
def browser(process, address):
    """A desktop's browser that has not been here."""
    resize(process, 1280)
    kept = {"origin": address.rstrip("/"), "storageTypes": "local_storage"}
    process.execute_cdp_cmd("Storage.clearDataForOrigin", kept)
    return process


@pytest.fixture
def find(browser):
    return lambda selector: browser.find_element("css selector", selector)


@pytest.fixture
def wait(browser):
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 10, poll_frequency=0.05).until


AS_LOADED = """
const endless = document.getAnimations().filter(({ effect }) =>
  effect.getComputedTiming().activeDuration > 5000 && !effect.target.closest(".moving"));
return {
  title: document.querySelector("h1").textContent,
  moving: endless.map(({ effect }) => effect.target.outerHTML),
  videos: [...document.querySelectorAll("video:not([controls])")].map((video) => video.outerHTML),
  fonts: [...document.fonts].map(({ family, status }) => `${family}: ${status}`),
  has_twins: Boolean(document.querySelector(".twin")),
  formulas: [...document.querySelectorAll("math")].some((math) => math.checkVisibility()),
};
"""
"""What a page looks like when it is loaded."""


LINES = """
const line = (texts, from, to) => {
  const range = document.createRange();
  let at = 0;
  for (const text of texts) {
    const start = at;
    at += text.length;
    if (start <= from && from < at) range.setStart(text, from - start);
    if (start < to && to <= at) range.setEnd(text, to - start);
  }
  return range;
};
const linesOf = (code) => {
  const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT), texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  let from = 0;
  return code.textContent.trimEnd().split("\\n").map((text) => {
    const { top, right } = line(texts, from, from + text.length).getBoundingClientRect();
    from += text.length + 1;
    return text && { text: text.trim(), top, right };
  });
};
const room = (code) => {
  const style = getComputedStyle(code), pen = document.createElement("canvas").getContext("2d");
  pen.font = `${style.fontSize} ${style.fontFamily}`;
  const inner = code.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return inner / pen.measureText("m").width;
};
const group = (note) => {
  const parts = [];
  let part = note;
  while ((part = part.nextElementSibling)?.matches(".highlight")) parts.push(part);
  return parts.map((part) => part.querySelector("code")).map((code) => ({
    note: note.textContent,
    gap: code.getBoundingClientRect().top - note.getBoundingClientRect().bottom,
    lines: linesOf(code), room: room(code), right: code.getBoundingClientRect().right,
    cut: code.scrollWidth - code.clientWidth,
    size: parseFloat(getComputedStyle(code).fontSize),
  }));
};
return [...document.querySelectorAll(".twin > p")].map(group);
"""
"""Of every group of lines: its note, each line of each column, where it is, how many fit."""

WIDTHS = [1280, 1440, 1920]
"""Those of screens on which the two implementations stand beside each other."""


@pytest.fixture(scope="module")
def visits(any_site, process):
    """What was found on each page of a site, which is loaded once."""
    site, address = any_site
    complaints(process, address)
    found = {}
    for page in pages(site):
        resize(process, 1280)
        process.get(address + page)
        found[page] = process.execute_script(AS_LOADED) | {"moved": moved(process)}
        found[page]["wrong"] = complaints(process, address)
        for width in WIDTHS * found[page]["has_twins"]:
            resize(process, width)
            found[page][width] = process.execute_script(LINES)
        resize(process, 360)
        found[page]["width"] = process.execute_script("return document.documentElement.scrollWidth")
    resize(process, 1280)
    return found


def test_every_page_opens_without_errors_or_requests_to_elsewhere(visits):
    assert len(visits) > 20
    assert all(found["title"] for found in visits.values())
    assert {page: found["wrong"] for page, found in visits.items() if found["wrong"]} == {}


def test_no_page_scrolls_sideways_on_a_phone(visits):
    assert {page: found["width"] for page, found in visits.items() if found["width"] > 360} == {}


def test_nothing_moves_while_a_page_loads(visits, any_site, process):
    """In one of three visits: a machine that is busy draws a page in parts."""
    _, address = any_site
    for page in [page for page, found in visits.items() if found["moved"]]:
        shifts = [visits[page]["moved"]]
        while shifts[-1] and len(shifts) < 3:
            process.get(address + page)
            shifts.append(moved(process))
        assert not shifts[-1], (page, shifts)


def test_what_moves_by_itself_can_be_paused(visits):
    assert {page: found["moving"] for page, found in visits.items() if found["moving"]} == {}
    assert {page: found["videos"] for page, found in visits.items() if found["videos"]} == {}


def test_pages_with_formulas_have_their_font(visits):
    with_formulas = [found["fonts"] for found in visits.values() if found["formulas"]]
    assert len(with_formulas) > 5
    assert all(fonts == ["STIX Two Math: loaded"] for fonts in with_formulas)


def test_every_glyph_of_a_formula_is_of_the_font_that_comes_with_the_site(any_site, process):
    _, address = any_site
    process.get(f"{address}tour/attention/")
    document = process.execute_cdp_cmd("DOM.getDocument", {"depth": 0})["root"]["nodeId"]
    process.execute_cdp_cmd("CSS.enable", {})
    leaves = {"nodeId": document, "selector": "math :is(mi, mo, mn)"}
    nodes = process.execute_cdp_cmd("DOM.querySelectorAll", leaves)["nodeIds"]
    assert len(nodes) > 100
    for node in nodes:
        fonts = process.execute_cdp_cmd("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        assert all(font["isCustomFont"] for font in fonts), fonts
    process.execute_cdp_cmd("CSS.disable", {})


def test_the_animation_is_paused_by_its_box_and_where_less_motion_is_wished(address, process):
    states = """return document.querySelector(".moving").getAnimations({ subtree: true })
        .map(({ playState }) => playState)"""
    process.get(f"{address}tour/divided-attention/")
    assert process.execute_script(states) == ["running"] * 3
    process.find_element("css selector", ".moving input").click()
    assert process.execute_script(states) == ["paused"] * 3
    playing = "return [...document.querySelectorAll('video')].map(({ autoplay }) => autoplay)"
    process.get(f"{address}tour/clip/")
    assert process.execute_script(playing) == [True]
    prefer(process, motion="reduce")
    try:
        process.get(f"{address}tour/clip/")
        assert process.execute_script(playing) == [False]
        process.get(f"{address}tour/divided-attention/")
        assert process.execute_script(states) == []
    finally:
        prefer(process)


@pytest.mark.parametrize("page", ["", "live/", "tour/attention/"])
def test_opened_from_files_links_lead_to_pages(any_site, process, page):
    site, _ = any_site
    process.get((site / page / "index.html").as_uri())
    links = process.execute_script(
        "return [...document.querySelectorAll('a[href]')].map(a => a.href)"
    )
    files = [Path(unquote(urlsplit(link).path)) for link in links if link.startswith("file:")]
    assert len(files) > 20
    assert [file for file in files if not file.is_file()] == []
    pictures = "return [...document.querySelectorAll('[data-live] img')].map(i => i.naturalWidth)"
    assert all(process.execute_script(pictures))
    complaints(process, "file:")


def test_a_long_page_that_is_laid_out_in_parts_is_soon_whole(any_site, browser, wait):
    browser.get(f"{any_site[1]}specification/")
    parts = 'document.querySelectorAll(".in-parts .passage")'
    waiting = "(part) => getComputedStyle(part).contentVisibility === 'auto'"
    assert browser.execute_script(f"return {parts}.length") > 100
    wait(lambda _: not browser.execute_script(f"return [...{parts}].some({waiting})"))


@pytest.mark.parametrize("place", ["att-5", "softmax-of-one"])  # a heading, and within a fold
def test_a_link_into_a_long_page_arrives(any_site, browser, wait, place):
    browser.get("about:blank")
    browser.get(f"{any_site[1]}specification/#{place}")
    top = f"return document.getElementById('{place}').getBoundingClientRect().top"
    wait(lambda _: 0 < browser.execute_script(top) < 200)


def test_search_finds_a_word_of_the_specification(browser, address, find, wait):
    browser.get(address)
    find(".md-search__input").send_keys("stochastic")
    found = wait(lambda _: browser.find_elements("css selector", ".md-search-result__link"))
    wait(lambda _: any("specification/" in link.get_attribute("href") for link in found))


def scheme(browser):
    return browser.find_element("css selector", "body").get_attribute("data-md-color-scheme")


def test_the_palette_follows_the_system_until_the_reader_chooses(browser, address, find, wait):
    prefer(browser, "dark")
    browser.get(address)
    wait(lambda _: scheme(browser) == "slate")
    prefer(browser, "light")
    browser.refresh()
    wait(lambda _: scheme(browser) == "default")
    find('label[title="Switch to light mode"]').click()
    wait(lambda _: find('label[title="Switch to dark mode"]').is_displayed())
    find('label[title="Switch to dark mode"]').click()
    wait(lambda _: scheme(browser) == "slate")
    browser.refresh()
    wait(lambda _: scheme(browser) == "slate")
    find('label[title="Switch to the system\'s mode"]').click()
    wait(lambda _: scheme(browser) == "default")


def code_blocks(browser):
    return browser.find_elements("css selector", ".twin > .highlight")


def test_a_desktop_shows_both_writings_side_by_side(browser, address):
    browser.get(f"{address}tour/patchify/")
    numpy, torch = code_blocks(browser)[:2]
    assert numpy.is_displayed()
    assert torch.is_displayed()
    assert numpy.rect["y"] == torch.rect["y"]
    assert numpy.rect["x"] + numpy.rect["width"] <= torch.rect["x"]
    labels = browser.find_elements("css selector", ".twin .tabbed-labels label")[:2]
    assert [label.text for label in labels] == ["NumPy", "PyTorch"]
    assert labels[1].rect["x"] == torch.rect["x"]


@pytest.mark.parametrize("width", WIDTHS)
def test_both_writings_are_whole_and_line_by_line_beside_each_other(visits, width):
    from docs.making.twin_notes import TWINS

    measured = []
    for page, found in visits.items():
        for group in found.get(width, []):
            measured.append(len(group))
            for column in group:
                assert column["room"] >= 72, (page, column["room"])
                assert column["cut"] <= 0, (page, column["cut"])
                assert column["size"] >= 10.5, (page, column["size"])
                assert 0 < column["gap"] < 20, column["note"]
                over = [x for x in column["lines"] if x and x["right"] > column["right"] + 0.5]
                assert over == [], page
            for pair in zip(*(column["lines"] for column in group), strict=False):
                tops = [line["top"] for line in pair if line]
                assert not tops or max(tops) - min(tops) < 1, (page, pair)
    notes = [note for pairs in TWINS.values() for *_, notes in pairs for note in notes]
    assert (len(measured), max(measured)) == (len(notes), 2)


def test_a_phone_shows_one_writing_and_switches_by_tabs(browser, address, wait):
    resize(browser, 360)
    browser.get(f"{address}tour/patchify/")
    numpy, torch = code_blocks(browser)[:2]
    assert (numpy.is_displayed(), torch.is_displayed()) == (True, False)
    note = browser.find_element("css selector", ".twin > p")
    assert note.rect["y"] < numpy.rect["y"]
    browser.find_elements("css selector", ".twin .tabbed-labels label")[1].click()
    wait(lambda _: torch.is_displayed() and not numpy.is_displayed())
    assert note.is_displayed()
    browser.find_elements("css selector", ".twin .tabbed-labels label")[0].click()


def test_a_phones_menu_is_there_when_it_is_opened(browser, address, find, wait):
    resize(browser, 360)
    browser.get(f"{address}tour/patchify/")
    assert not find(".md-sidebar--primary").is_displayed()
    find(".md-header [for=__drawer]").click()
    wait(lambda _: find(".md-sidebar--primary").rect["x"] == 0)
    assert find(".md-sidebar--primary").is_displayed()


@pytest.fixture
def explorer(browser, address, find, wait):
    browser.get(f"{address}tour/schemes/")
    wait(lambda _: find("#scheme").is_displayed())
    return browser


def place(element):
    return tuple(int(element.get_attribute(f"data-{axis}")) for axis in "tyx")


def patch(t, y, x):
    return f'button[data-t="{t}"][data-y="{y}"][data-x="{x}"]'


def test_the_explorer_answers_the_mouse(explorer, find):
    from selenium.webdriver.support.select import Select

    find(patch(1, 2, 3)).click()
    assert place(find(CHOSEN)) == (1, 2, 3)
    cost = find("#explorer-cost").text
    Select(find("#scheme")).select_by_value("joint_space_time")
    assert find("#explorer-cost").text != cost
    marks = {
        b.get_attribute("data-mark") for b in explorer.find_elements("css selector", "[data-t]")
    }
    assert marks == {"chosen", "attended"}


def test_a_class_token_of_one_frame_holds_information_from_that_frame(explorer, find):
    from selenium.webdriver.support.select import Select

    Select(find("#scheme")).select_by_value("space_only")
    find("[data-class-token]").click()
    assert (
        "each of the 4 may hold information from 16 of 64 patches" in find("#explorer-words").text
    )
    Select(find("#scheme")).select_by_value("divided_space_time")
    assert "it may hold information from 64 of 64 patches" in find("#explorer-words").text


@pytest.mark.parametrize("key", ["ENTER", "SPACE"])
def test_the_explorer_answers_the_keyboard(explorer, find, key):
    from selenium.webdriver.common.keys import Keys

    find(patch(0, 0, 0)).click()
    for arrow, at in [("ARROW_RIGHT", (0, 0, 1)), ("ARROW_DOWN", (0, 1, 1))]:
        explorer.switch_to.active_element.send_keys(getattr(Keys, arrow))
        assert place(explorer.switch_to.active_element) == at
    explorer.switch_to.active_element.send_keys(getattr(Keys, key))
    assert place(find(CHOSEN)) == (0, 1, 1)


def test_the_explorer_answers_a_finger(explorer, find, wait):
    resize(explorer, 360)
    target = find(patch(2, 1, 1))
    explorer.execute_script("arguments[0].scrollIntoView({block: 'center'})", target)
    box = explorer.execute_script("return arguments[0].getBoundingClientRect()", target)
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    for kind, points in [("touchStart", [point]), ("touchEnd", [])]:
        event = {"type": kind, "touchPoints": points}
        explorer.execute_cdp_cmd("Input.dispatchTouchEvent", event)
    wait(lambda _: place(find(CHOSEN)) == (2, 1, 1))


DARKNESS = """
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number);
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
};
const parts = document.querySelectorAll(".md-content :is(h1, h2, p, li, a, td, code, code span)");
return {
  paper: luminance(getComputedStyle(document.body).backgroundColor),
  brightest: Math.max(...[...parts].map((part) => luminance(getComputedStyle(part).color))),
  filters: [...document.images].map((image) => getComputedStyle(image).filter) };
"""


@pytest.mark.parametrize("page", ["", "tour/divided-attention/", "live/"])
def test_what_is_printed_from_dark_mode_is_dark_on_white(browser, address, page, wait):
    prefer(browser, "dark")
    browser.get(address + page)
    wait(lambda _: scheme(browser) == "slate")
    prefer(browser, "dark", "print")
    try:  # colours change within a moment
        wait(lambda _: browser.execute_script(DARKNESS)["brightest"] < 0.5)
        found = browser.execute_script(DARKNESS)
    finally:
        prefer(browser, "light")
    assert found["paper"] > 0.95
    assert set(found["filters"]) <= {"none"}


def test_the_animation_shows_time_then_space_then_every_patch(browser, address):
    browser.get(f"{address}tour/divided-attention/")
    script = """
        const figure = document.querySelector(".moving");
        for (const animation of figure.getAnimations({ subtree: true })) {
          animation.pause();
          animation.currentTime = arguments[0];
        }
        return [...document.querySelectorAll(".divided-steps g")]
          .filter((layer) => getComputedStyle(layer).opacity > 0.5)
          .map((layer) => [layer.className.baseVal, layer.querySelectorAll("rect").length]);
    """
    shown = [browser.execute_script(script, milliseconds) for milliseconds in (1000, 3500, 6000)]
    assert shown == [[["time", 4]], [["space", 16]], [["both", 64]]]
