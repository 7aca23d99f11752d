"""What the tests of the built site share: its pages, a server, and Chromium."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

BUILD = Path(__file__).parents[2] / "build"
SITES = {"mkdocs": BUILD / "site", "zensical": BUILD / "zensical"}


def need(present: object, what: str) -> None:
    """Skip a test without its means; a failure where `SITE_TESTS=required`, as in CI."""
    if not present:
        lacking = pytest.fail if os.environ.get("SITE_TESTS") == "required" else pytest.skip
        lacking(f"needs {what}")


def pages(site: Path) -> list[str]:
    """The addresses of a built site's pages, below its root."""
    found = [f.relative_to(site).parent.as_posix() for f in sorted(site.rglob("index.html"))]
    return [f"{page}/".removeprefix("./") for page in found]


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The site's address while it is served on a free port."""
    need((site / "index.html").is_file(), f"the site built in {site}")
    handler = partial(QuietHandler, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """A server of files that keeps no log."""

    def log_message(self, *_):
        pass


@contextmanager
def chromium(*arguments: str):
    """Debian's Chromium without a window, as on a desktop; with more arguments of its own."""
    webdriver = pytest.importorskip("selenium.webdriver")
    need(shutil.which("chromium") and shutil.which("chromedriver"), "chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    always = "--headless=new", "--no-sandbox", "--disable-dev-shm-usage"
    for argument in (*always, *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options, service) as browser:
        resize(browser, 1280)
        yield browser


def resize(browser, width: int) -> None:
    """Give the page so many pixels, and fingers below the width of a desktop."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 1000}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def complaints(browser, address: str) -> list[str]:
    """What went wrong since the last look: errors, failed requests, requests to anywhere else."""
    told = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    for entry in browser.get_log("performance"):
        event = json.loads(entry["message"])["message"]
        match event["method"], event["params"]:
            case "Network.requestWillBeSent", {"request": {"url": str(url)}}:
                if not url.startswith((address, "data:", "blob:")):
                    told.append(f"asks for {url}")
            case "Network.responseReceived", {"response": {"status": int(status), "url": url}}:
                if status >= 400:
                    told.append(f"{status} for {url}")
            case "Network.loadingFailed", {"errorText": error, "canceled": False}:
                told.append(error)
    return told
