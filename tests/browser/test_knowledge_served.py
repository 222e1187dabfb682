"""The knowledge base's page on its real server: what a webhook brings, and what a service submits, is what one sees."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from knowledge.knowledge_events import completed
from knowledge.knowledge_stage import Base, serving
from playwright.sync_api import Page, expect, sync_playwright
from sluice_processes import until

from sluice_producer import Sluice
from sluice_worker.process import stack

CHROMIUM = Path("/usr/bin/chromium")
TEXT = "In 1843 🌊 Ada Lovelace lived in London, near Cafe\u0301 Noir."
ADA = ("Ada Lovelace", "lives in", "London")

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium: apt-get install chromium")


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Base]:
    with serving(tmp_path) as found:
        yield found


@pytest.fixture
def page(base: Base) -> Iterator[Page]:
    """The start, of a base with nothing in it. The console must stay silent."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        heard: list[str] = []
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.goto(base.url)
        expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is here yet")
        expect(page.locator("#line")).to_have_text("live")
        yield page
        browser.close()
    assert heard == []


def test_a_webhook_is_seen_down_to_its_sentence(base: Base, page: Page) -> None:
    assert base.send(completed(ADA, text=TEXT, document="letters", events=[("move", "who", "Ada Lovelace")])).is_success
    expect(page.locator("#feed > li")).to_contain_text("letters")
    page.get_by_role("link", name="Ada Lovelace").click()  # the start fills by itself
    page.get_by_role("button", name="1 source for lives in, London").click()
    quote = page.locator(".fact blockquote")
    assert quote.locator("mark").all_text_contents() == ["Ada Lovelace", "London"]
    assert quote.text_content() == TEXT
    expect(page.locator(".happening")).to_contain_text("move")
    page.get_by_role("link", name="Graph").click()
    expect(page.locator(".tools button")).to_have_count(3)
    expect(page.locator(".canvas canvas").first).to_be_visible()
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("row")).to_have_count(2)
    page.keyboard.press("/")
    page.keyboard.type("lond")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("London")
    expect(page.locator(".group h3")).to_contain_text("… lives in London")


DOCUMENTS = {
    "news-en": ("news/entities-en@1", "🌊 Tobias Wrenfield joined the University of Harrowgate on Monday."),
    "news-zh": ("news/entities-zh@1", "何子谦周一表示，晶岳半导体将在上海建厂。😀"),
}


def test_a_document_goes_all_the_way_from_submit_to_the_page(tmp_path: Path) -> None:
    with stack.running(tmp_path, redis_url=None, environment=os.environ, knowledge_port=0) as running:
        with Sluice(running.redis_url) as client:
            for document, (schema, text) in DOCUMENTS.items():
                client.submit(text, schema=schema, id=document, endpoints=["knowledge"])
            until(lambda: _asked(running, "/health")["documents"] == len(DOCUMENTS), 60)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            shown = [_shown(page, running, each["id"]) for each in _asked(running, "/api/search")["results"]]
            browser.close()
    assert len(shown) >= 4
    for document, span, marked in [each for mentions in shown for each in mentions]:
        assert DOCUMENTS[document][1][slice(*span)] == marked


def _shown(page: Page, running: stack.Stack, entity: str) -> list[tuple[str, tuple[int, int], str]]:
    """Of each mention of an entity: its document, where it stands there, and what the page has marked."""
    said = _asked(running, f"/api/entities/{entity}")["mentions"]
    page.goto(f"{running.knowledge_url}/#/entity/{entity}")
    expect(page.get_by_role("heading", level=1)).to_have_text(said[0]["mentions"][0]["text"])
    marked = page.locator("blockquote mark").all_text_contents()
    spans = [(each["mentions"][0]["start"], each["mentions"][0]["end"]) for each in said]
    return [*zip([each["document"]["id"] for each in said], spans, marked, strict=True)]


def _asked(running: stack.Stack, path: str) -> Any:
    return httpx.get(f"{running.knowledge_url}{path}").json()
