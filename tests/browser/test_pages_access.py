"""The pages can be read and used by everybody: contrast, names, keyboard."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import Browser
from smproxy.manager.rest.pages import PAGES
from smproxy.signaling.redaction import Redactor, redact_value
from smproxy.signaling.secret_names import is_secret
from smproxy.signaling.secret_values import REMOVED
from smproxy.simulator import Simulator
from smproxy.testing import Publisher

from tests.browser.web import DESK, PHONE, Tab, open_tab

VIEWS = ("/#/sessions", "/#/hooks", "/#/dead", "/#/nodes", "/#/faults", "/#/recordings", "/publish", "/subscribe")

#: Finds visible text whose contrast is below 4.5 (WCAG 2.2, 1.4.3), or 3 where it is large. Disabled controls are exempt.
CONTRAST = """(() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paint = (colors) => {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, 1, 1);
    for (const color of colors) { context.fillStyle = color; context.fillRect(0, 0, 1, 1); }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility({ checkOpacity: true })) continue;
    if (element.closest(":disabled, .hidden, .skip, noscript, option, svg")) continue;
    const layers = [];
    for (let each = element; each; each = each.parentElement) layers.unshift(getComputedStyle(each).backgroundColor);
    const style = getComputedStyle(element);
    const [a, b] = [light(paint(layers)), light(paint([...layers, style.color]))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const text = walker.currentNode.textContent.slice(0, 30);
    if (ratio < (large ? 3 : 4.5)) bad.push(`${ratio.toFixed(2)} ${element.className} ${text}`);
  }
  return bad;
})()"""

#: Finds controls without a name for a screen reader.
NAMELESS = """[...document.querySelectorAll("input, select, textarea, button, a[href], meter, img, [role=grid]")]
  .filter((element) => element.checkVisibility())
  .filter((element) => !(element.labels?.length || element.textContent.trim() || element.getAttribute("aria-label")
    || element.hasAttribute("alt")))
  .map((element) => element.outerHTML.slice(0, 100))"""


async def opened(tab: Tab, simulator: Simulator, view: str) -> None:
    """Open a view and wait until it shows something."""
    await tab.page.goto(simulator.rest_url + view)
    if view.startswith("/#"):
        await tab.linked()
    if view == "/#/sessions":
        await tab.page.click(".space .row a")
        await tab.sees(".messages .title", "publish")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_contrast_and_names(chromium: Browser, simulator: Simulator, scheme: str) -> None:
    """In both colour schemes all text has the contrast of WCAG AA, and each control has a name."""
    simulator.faults.add("connect-failed", id="nobody")
    async with (
        Publisher(simulator.url, stream="cam-1", params={"customerScope": "acme"}),
        open_tab(chromium, "about:blank", color_scheme=scheme) as tab,
    ):
        for view in VIEWS:
            await opened(tab, simulator, view)
            assert await tab.page.evaluate(CONTRAST) == [], view
            assert await tab.page.evaluate(NAMELESS) == [], view
        await tab.page.evaluate("document.documentElement.style.setProperty('--muted', 'var(--surface)')")
        assert await tab.page.evaluate(CONTRAST) != [], "the check finds nothing at all"


@pytest.mark.parametrize("path", PAGES)
async def test_outline(chromium: Browser, simulator: Simulator, path: str) -> None:
    """Each page has a language, a title of its own, one first heading, a main part and a link that leads there."""
    async with open_tab(chromium, simulator.rest_url + path) as tab:
        assert await tab.page.get_attribute("html", "lang") == "en"
        assert "stream manager" in await tab.page.title()
        assert await tab.page.locator("h1").count() == 1
        await tab.page.keyboard.press("Tab")
        assert await tab.page.evaluate("document.activeElement.getAttribute('href')") == "#main"
        assert await tab.page.locator("main#main").count() == 1


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("view", VIEWS)
async def test_skip_link_is_first(chromium: Browser, simulator: Simulator, view: str, viewport: dict[str, int]) -> None:
    """Whatever a page has scrolled into view while it loaded, the first Tab reaches the skip link, and it can be seen (T1)."""
    async with open_tab(chromium, simulator.rest_url + view, viewport=viewport) as tab:
        if view.startswith("/#"):
            await tab.linked()
        await tab.page.keyboard.press("Tab")
        assert await tab.page.evaluate("document.activeElement.getAttribute('href')") == "#main"
        box = await tab.page.locator(".skip").bounding_box()
        assert box is not None
        assert box["width"] > 50


#: Whether an element can be seen and clicked where the page is scrolled to, and nothing lies over it.
REACHABLE = """(id) => {
  const element = document.getElementById(id);
  const { left, top, right, bottom } = element.getBoundingClientRect();
  const inside = left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
  return inside && element.contains(document.elementFromPoint((left + right) / 2, (top + bottom) / 2));
}"""


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 800}, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("path", ["/publish", "/subscribe"])
async def test_buttons_without_scrolling(
    chromium: Browser, simulator: Simulator, path: str, viewport: dict[str, int]
) -> None:
    """Start is reachable without scrolling, and so are Stop and the state while the stream runs, wherever the form is (T9)."""
    publisher = Publisher(simulator.url, stream="cam-1", params={"customerScope": "acme"})
    async with (
        publisher,
        open_tab(chromium, f"{simulator.rest_url}{path}?source=pattern", viewport=viewport) as tab,
    ):
        if path == "/subscribe":
            await tab.fill(stream="cam-1")
        assert await tab.page.evaluate(REACHABLE, "start")
        await tab.page.evaluate("scrollTo(0, 150)")
        assert await tab.page.evaluate(REACHABLE, "start")
        await tab.page.evaluate("scrollTo(0, 0)")
        await tab.page.click("#start")
        await tab.state("live")
        for each in ("stop", "state", "video"):
            assert await tab.page.evaluate(REACHABLE, each), each
        assert await tab.page.evaluate("document.activeElement.id") == "stop"
        assert await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await tab.page.click("#stop")
        await tab.state("idle")


async def test_publish_by_keyboard(chromium: Browser, simulator: Simulator) -> None:
    """The form is sent with Enter, and Stop is reached and pressed without a mouse; what has the focus can be seen."""
    async with open_tab(chromium, f"{simulator.rest_url}/publish?source=pattern") as tab:
        await tab.page.focus("#stream")
        await tab.page.keyboard.press("Enter")
        await tab.state("live")
        for _ in range(20):
            await tab.page.keyboard.press("Tab")
            if await tab.page.evaluate("document.activeElement.id") == "stop":
                break
        assert await tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        await tab.page.keyboard.press("Enter")
        await tab.state("idle")
        assert await tab.page.evaluate("document.activeElement.id") == "start"


NAMES = [
    "password",
    "user_pass",
    "X-API-Key",
    "p%61ssword",
    "ｐａｓｓｗｏｒｄ",
    "authToken",
    "authorization",
    "pin",
    "cookie",
]
NAMES += ["author", "compass", "bypass", "passenger", "secretary", "spin", "ice-pwd", "id", "meta", "key", "p\\u0061ss"]

VALUES: list[Any] = [
    {"password": [1, {"x": "y"}], "room": "A"},
    {"deep": [{"auth": {"a": [True]}}], "n": 1, "none": {"token": None, "jwt": "undefined"}},
    {"text": '{"secret": {"x": 1}, "y": 2}', "list": ["https://ann:pw@x.org/?token=abc&z=1"]},
]


async def test_pages_redact_as_the_server_does(chromium: Browser, simulator: Simulator) -> None:
    """What a page hides of the messages that it sends itself is what the server would remove of them."""
    async with open_tab(chromium, f"{simulator.rest_url}/publish") as tab:
        module = 'import("/web/shared/redact.js")'
        secret = await tab.page.evaluate(f"(names) => {module}.then((redact) => names.map(redact.isSecret))", NAMES)
        assert secret == [is_secret(name) for name in NAMES]
        shown = await tab.page.evaluate(f"(values) => {module}.then((redact) => redact.redacted(values))", VALUES)
        same = json.loads(json.dumps(shown, ensure_ascii=False).replace("••••••", REMOVED))
        assert same == redact_value(VALUES)
        url = "ws://x/?id=s&password=a%26b&meta=%7B%22jwt%22%3A%5B1%5D%7D&host=ann%3Apw%4010.0.0.1&token=undefined"
        shown = await tab.page.evaluate(f"(url) => {module}.then((redact) => redact.shownUrl(url))", url)
        assert shown.replace("••••••", REMOVED) == Redactor(url).url
