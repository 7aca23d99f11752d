"""What the tests of the built site share: its pages, a server, and Chromium."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
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
    with Server(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@cache
def compressed(file: Path, _modified: float) -> bytes:
    """A file's contents as a host sends them."""
    return gzip.compress(file.read_bytes(), 6)


class Server(ThreadingHTTPServer):
    """A server whose browsers may leave at any time."""

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class QuietHandler(SimpleHTTPRequestHandler):
    """A server of files that keeps no log, and connections; texts and weights go compressed."""

    protocol_version = "HTTP/1.1"

    def send_head(self):
        file = Path(self.translate_path(self.path))
        file = file / "index.html" if self.path.partition("?")[0].endswith("/") else file
        packed = {".html", ".css", ".js", ".json", ".svg", ".safetensors"}
        if file.suffix not in packed or not file.is_file():
            return super().send_head()
        body = compressed(file, file.stat().st_mtime)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(file))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return BytesIO(body)

    def log_message(self, *_):
        pass


@contextmanager
def chromium():
    """Debian's Chromium without a window, as on a desktop, with a camera that is made up."""
    webdriver = pytest.importorskip("selenium.webdriver")
    need(shutil.which("chromium") and shutil.which("chromedriver"), "chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    camera = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", *camera):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options, service) as browser:
        resize(browser, 1280)
        yield browser


def prefer(browser, scheme: str = "light", media: str = "", motion: str = "no-preference") -> None:
    """What the reader's system prefers, and the medium that the page is for."""
    preferred = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
    features = [{"name": name, "value": value} for name, value in preferred.items()]
    emulated = {"media": media, "features": features}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)


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


MOVED = """
const done = arguments[0], moved = [];
const note = (entries) => moved.push(...entries.map(({ value, sources }) =>
  [value, ...sources.map(({ node }) => node?.className || node?.nodeName)]));
const observer = new PerformanceObserver((list) => note(list.getEntries()));
observer.observe({ type: "layout-shift", buffered: true });
requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => {
  note(observer.takeRecords());
  done(moved);
})));
"""


def moved(browser) -> list:
    """What has moved since the page was opened, and how much (cumulative layout shift).

    Less than a thousandth, a hundredth of what counts as good, is nothing.
    """
    found = browser.execute_async_script(MOVED)
    return found if sum(part[0] for part in found) > 1e-3 else []
