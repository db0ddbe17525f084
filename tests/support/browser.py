"""A real browser without a window, where one is installed."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

# Debian's names first.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# No sandbox: tests may run as root, and what is opened are our own pages.
_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


@contextmanager
def browser() -> Iterator["Chrome"]:
    """Start Chromium; skips the test where it, its driver or selenium is absent."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium with its ChromeDriver is installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for option in _OPTIONS:
        options.add_argument(option)
    options.set_capability(
        "goog:loggingPrefs",
        {"browser": "ALL", "performance": "ALL"},
    )
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield opened
    finally:
        opened.quit()


def open_page(opened: "Chrome", path: Path, *, width_px: int = 1280, scheme: str = "light") -> None:
    """Open a file as somebody would who got it by mail."""
    size = {"width": width_px, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    opened.get(path.as_uri())


def requests_of(opened: "Chrome") -> list[str]:
    """Addresses that were asked for since the last question."""
    messages = [json.loads(told)["message"] for told in told_by(opened, "performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def told_by(opened: "Chrome", log: str = "browser") -> list[str]:
    """What stands in the console, or in another log, since the last question."""
    entries = opened.get_log(log)  # type: ignore[no-untyped-call] # of selenium
    return [entry["message"] for entry in entries]
