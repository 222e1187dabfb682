"""The knowledge base's page in a real Chromium: what is marked, what runs, where the keys and the address lead.

Needs Debian's package `chromium` and the Python package `playwright`. The screenshots are left in `.build/screenshots`.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from browser.knowledge_sample import Answer, Sample, delivery, identity
from browser.knowledge_stand_in import PAGE, StandIn
from browser.knowledge_stories import ACCENTED, CUT_LETTER, EMOJI, HOSTILE, LONG, everything, news
from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Locator,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

CHROMIUM = Path("/usr/bin/chromium")
SCREENSHOTS = Path(__file__).parents[2] / ".build/screenshots"
DESK = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=360, height=740)
COMPANY, PROFESSOR = "Castellan Group", "张伟"

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium: apt-get install chromium")

CONTRASTS = (Path(__file__).parent / "knowledge_contrast.js").read_text(encoding="utf-8")
BASICS = (Path(__file__).parent / "knowledge_basics.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def chromium() -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport=DESK, reduced_motion="reduce")
        context.set_default_timeout(8_000)
        yield context
        browser.close()


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with StandIn(everything()).running() as server:
        yield server


@pytest.fixture
def stand_in(server: StandIn) -> StandIn:
    server.begin(everything())
    return server


class Noise:
    """What a page must not do: speak in the console, fail, ask questions, reach for other servers."""

    def __init__(self, page: Page, home: str) -> None:
        self.heard: list[str] = []
        self._home = home
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)
        page.on("dialog", self._on_dialog)
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        self.heard.append(message.text)

    def _on_error(self, error: Error) -> None:
        self.heard.append(str(error))

    def _on_dialog(self, dialog: Dialog) -> None:
        self.heard.append(dialog.message)
        dialog.dismiss()

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(self._home):
            self.heard.append(request.url)

    def expected(self, pattern: str) -> None:
        """Forgets what `pattern` matches, of which there must be some."""
        kept = [each for each in self.heard if not re.search(pattern, each)]
        assert kept != self.heard
        self.heard = kept


Open = Callable[..., Page]


@pytest.fixture
def quiet(chromium: BrowserContext, stand_in: StandIn) -> Iterator[tuple[Open, Noise]]:
    """Opens pages of the stand-in; in the end nothing may have been heard of them."""
    page = chromium.new_page()
    noise = Noise(page, stand_in.url)

    def open_(address: str = "", *, size: ViewportSize = DESK, scheme: Literal["light", "dark"] = "light") -> Page:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        page.goto(f"{stand_in.url}/{address}")
        page.wait_for_selector("main h1")
        return page

    yield open_, noise
    heard = noise.heard
    page.close()
    assert heard == []


@pytest.fixture
def open_page(quiet: tuple[Open, Noise]) -> Open:
    return quiet[0]


@pytest.fixture
def noise(quiet: tuple[Open, Noise]) -> Noise:
    return quiet[1]


def at(label: str, view: str = "") -> str:
    return f"#/entity/{identity(label)}{view}"


def unfold(page: Page) -> None:
    """Opens every fact and event; the one test of the keyboard opens as a reader does."""
    page.locator("button.open").evaluate_all("(buttons) => buttons.forEach((button) => button.click())")


def marks(quote: Locator) -> list[str]:
    """What each mark of a passage holds, its pieces joined."""
    pieces: dict[str, str] = {}
    for mark in quote.locator("mark").all():
        number = mark.get_attribute("data-m") or ""
        pieces[number] = pieces.get(number, "") + (mark.text_content() or "")
    return [pieces[number] for number in sorted(pieces, key=int)]


def spans(evidence: Answer) -> list[str]:
    """What stands at the places of an evidence, counted in code points as Python does."""
    placed = [each for each in evidence["mentions"] if each["passage"]]
    return [
        each["passage"]["text"][each["start"] - each["passage"]["start"] : each["end"] - each["passage"]["start"]]
        for each in placed
    ]


@pytest.mark.parametrize(
    "label",
    [
        COMPANY,  # ASCII, and one letter that is not
        PROFESSOR,
        EMOJI,  # outside the first plane, joined
        "𠮷田",
        ACCENTED,
    ],
)
def test_marks_hold_exactly_their_code_points(open_page: Open, stand_in: StandIn, label: str) -> None:
    page = open_page(at(label))
    unfold(page)
    seen = 0
    for fact in stand_in.sample.view(identity(label))["facts"]:
        if fact["other"]["label"] == CUT_LETTER:
            continue
        row = page.locator(".fact", has=page.get_by_role("link", name=fact["other"]["label"], exact=True))
        for item, evidence in zip(row.locator(".evidence > li").all(), fact["evidence"], strict=False):
            if (item.locator(".document").text_content() or "") != evidence["document"]["id"]:
                continue  # two facts about one other entity: the other one's row
            quote = item.locator("blockquote").first
            assert marks(quote) == spans(evidence)
            assert quote.text_content() == evidence["mentions"][0]["passage"]["text"]
            seen += 1
    assert seen


def test_a_mark_never_parts_a_letter_from_its_accent(open_page: Open) -> None:
    page = open_page(at(CUT_LETTER))
    unfold(page)
    quote = page.locator(".fact blockquote")
    assert marks(quote) == ["𠮷田", "Cafe\u0301"]
    assert page.locator(".fact .value").last.text_content() == "Cafe"


def test_roles_are_told_apart_without_colour(open_page: Open) -> None:
    page = open_page(at(COMPANY))
    unfold(page)
    first = page.locator(".fact .evidence > li").first
    look = "(mark) => [getComputedStyle(mark, '::after').content, getComputedStyle(mark).backgroundColor]"
    looks = [mark.evaluate(look) for mark in first.locator("mark").all()]
    assert ["A" in content for content, _ in looks] == [True, False]
    assert len({colour for _, colour in looks}) == 2
    assert first.locator(".letter").all_inner_texts() == ["A", "B"]


def test_how_a_value_was_found_is_said(open_page: Open) -> None:
    page = open_page(at(COMPANY))
    unfold(page)
    row = page.locator(".fact", has=page.get_by_role("link", name="Halden Shipyard"))
    expect(row.locator(".note.absent")).to_have_text("not found in the text")
    expect(row.locator("mark.normalised")).to_have_text("CASTELLAN GROUP")
    founder = page.locator(".group", has_text="founded by …").locator(".fact").first
    expect(founder.locator("mark.fuzzy")).to_have_text("I. Castell")
    expect(founder.locator(".note.fuzzy")).to_have_text("nearly as in the text")


def test_evidence_says_who_read_what_and_when(open_page: Open) -> None:
    page = open_page(at(COMPANY))
    unfold(page)
    source = page.locator(".fact .source").first
    expect(source).to_contain_text("reuters-20261127-114")
    expect(source).to_contain_text("version 1")
    expect(source).to_contain_text("confidence 0.93")
    expect(source.get_by_text("oneke-13b-awq", exact=True)).to_have_attribute("title", "Model models/oneke-13b-awq")
    expect(source.get_by_text("adapter news-lora-2026-10")).to_have_attribute(
        "title", "Adapter adapters/news-lora-2026-10"
    )
    expect(source.locator("time")).to_have_attribute("datetime", "2026-11-27T08:59:30Z")


def test_facts_stand_under_their_relation_and_direction(open_page: Open) -> None:
    page = open_page(at(COMPANY))
    headings = page.locator(".group h3").all_inner_texts()
    assert [re.sub(r"\s+", " ", each) for each in headings] == [
        "acquired …2",
        "founded by …2",
        "based in …",
        "… chairs Castellan Group",
        "… works for Castellan Group",
    ]


def test_events_name_who_played_which_role(open_page: Open) -> None:
    page = open_page(at(PROFESSOR))
    card = page.locator(".happening")
    assert card.locator("dt").all_inner_texts() == ["创立者", "机构", "地点"]
    card.get_by_role("link", name="上海").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("上海")


def test_nothing_of_a_hostile_document_runs_and_all_of_it_shows(open_page: Open, stand_in: StandIn) -> None:
    stand_in.push(delivery(9, "2026-11-27T09:00:00Z", HOSTILE, schema=HOSTILE, entities=1))
    page = open_page(at(HOSTILE))
    unfold(page)
    expect(page.locator("#feed .document").first).to_have_text(HOSTILE)
    assert page.locator("h1").text_content() == HOSTILE
    assert marks(page.locator(".fact blockquote"))[0] == HOSTILE
    page.locator("#find").fill("<script>")
    expect(page.locator("#found .label").first).to_have_text(HOSTILE)
    page.goto(f"{stand_in.url}/{at(HOSTILE, '/graph/2')}")
    drawn(page)
    page.locator("summary").click()
    assert page.locator("td bdi").first.text_content() == HOSTILE
    assert page.evaluate("window.pwned") is None
    assert (
        page.locator(
            "img, iframe, script:not([src^='page/']), [onload], [onerror], [onfocus], [style*=javascript]"
        ).count()
        == 0
    )
    assert page.locator("a[href^=javascript], main svg:not(.chevron)").count() == 0


def test_a_hostile_address_names_nothing(open_page: Open, noise: Noise) -> None:
    page = open_page("#/entity/%E0%A4%A")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    page.goto(page.url.split("#")[0] + "#/entity/..%2F..%2Fhealth")
    expect(page.get_by_role("heading", level=1)).to_have_text("This entity is not here")
    noise.expected("404")


@pytest.mark.parametrize(
    "attack",
    [
        "const s = document.createElement('script'); s.textContent = 'window.pwned = 9'; document.body.append(s)",
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned = 9\">')",
    ],
)
def test_the_policy_stops_what_text_nodes_would_miss(open_page: Open, noise: Noise, attack: str) -> None:
    page = open_page()
    page.evaluate(attack)
    page.wait_for_timeout(150)
    assert page.evaluate("window.pwned") is None
    noise.expected("Content Security Policy|404")


def test_the_keyboard_searches_and_chooses(open_page: Open) -> None:
    page = open_page()
    field = page.get_by_role("combobox", name="Find an entity")
    page.keyboard.press("/")
    expect(field).to_be_focused()
    page.keyboard.type("castell")
    options = page.get_by_role("option")
    expect(options).to_have_count(2)
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", "found-1")
    page.keyboard.press("ArrowDown")  # and around
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(COMPANY)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert page.url.endswith(at(COMPANY))


def test_enter_does_not_wait_for_the_list(open_page: Open, stand_in: StandIn) -> None:
    stand_in.delays_s["/api/search"] = 0.2
    page = open_page()
    page.keyboard.press("/")
    page.keyboard.type("张伟")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(PROFESSOR)


def test_an_input_method_searches_when_it_has_composed(open_page: Open, stand_in: StandIn) -> None:
    page = open_page()
    page.keyboard.press("/")
    expect(page.get_by_role("option").first).to_be_visible()
    stand_in.asked.clear()
    keys = page.context.new_cdp_session(page)
    keys.send("Input.imeSetComposition", {"text": "zhang", "selectionStart": 5, "selectionEnd": 5})
    page.wait_for_timeout(250)
    assert [path for path in stand_in.asked if path.startswith("/api/search")] == []
    keys.send("Input.insertText", {"text": "张"})
    expect(page.get_by_role("option")).to_have_count(1)


def test_escape_closes_the_list_and_leaves_what_was_typed(open_page: Open) -> None:
    page = open_page()
    field = page.get_by_role("combobox")
    field.click()
    expect(page.get_by_role("option")).to_have_count(20)
    field.fill("zzz")
    expect(page.get_by_text("Nothing here is called “zzz”.").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#found-box")).to_be_hidden()
    expect(field).to_have_value("zzz")


def test_typing_asks_once_it_pauses(open_page: Open, stand_in: StandIn) -> None:
    page = open_page()
    page.keyboard.press("/")
    expect(page.get_by_role("option").first).to_be_visible()
    stand_in.asked.clear()
    page.keyboard.type("lindholm", delay=20)
    expect(page.get_by_role("option")).to_have_count(1)
    assert len([path for path in stand_in.asked if path.startswith("/api/search")]) == 1


def test_the_address_leads_back_and_forth(open_page: Open) -> None:
    page = open_page()
    title = page.get_by_role("heading", level=1)
    page.get_by_role("link", name=COMPANY).click()
    expect(title).to_have_text(COMPANY)
    page.evaluate("scrollTo(0, 400)")
    page.wait_for_timeout(100)
    page.locator(".mentions a, .group a").last.click()
    expect(title).to_have_text("Maren Okafor")
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(title).to_have_text(COMPANY)
    assert page.evaluate("scrollY") == 400
    page.go_back()
    expect(title).to_have_text("What the documents speak of")
    page.go_forward()
    expect(title).to_have_text(COMPANY)
    assert page.title() == f"{COMPANY} · Sluice"


def drawn(page: Page) -> list[str]:
    """The labels of the nodes that Cytoscape has drawn."""
    page.wait_for_selector(".canvas canvas")
    page.wait_for_selector(".tools button")
    labels: list[str] = page.evaluate(
        "document.querySelector('.canvas')._cyreg.cy.nodes().map((node) => node.data('label'))"
    )
    return [label.strip("\u2068\u2069") for label in labels]


def test_the_graph_has_its_nodes_and_a_table_that_says_the_same(open_page: Open, stand_in: StandIn) -> None:
    page = open_page(at(COMPANY, "/graph/1"))
    graph = stand_in.sample.graph(identity(COMPANY), 1, 150)
    assert drawn(page) == [node["label"] for node in graph["nodes"]]
    expect(page.get_by_role("img", name=re.compile("Graph around Castellan Group: 7 entities"))).to_be_visible()
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("row")).to_have_count(1 + len(graph["edges"]))
    page.get_by_role("link", name="Two steps").click()
    expect(page.locator(".tallies")).to_have_text("9 entities, 11 relations")
    assert len(drawn(page)) == 9


def test_a_click_on_a_node_goes_there(open_page: Open) -> None:
    page = open_page(at(COMPANY, "/graph/1"))
    drawn(page)
    place = page.evaluate(
        "(id) => document.querySelector('.canvas')._cyreg.cy.getElementById(id).renderedPosition()",
        identity("Gothenburg"),
    )
    page.locator(".canvas").click(position={"x": place["x"], "y": place["y"]})
    expect(page.get_by_role("heading", level=1)).to_have_text("Gothenburg")
    assert page.url.endswith(at("Gothenburg", "/graph/1"))


def test_the_buttons_of_the_graph(open_page: Open) -> None:
    page = open_page(at(COMPANY, "/graph/1"))
    drawn(page)
    zoom = "document.querySelector('.canvas')._cyreg.cy.zoom()"
    before = page.evaluate(zoom)
    page.get_by_role("button", name="Larger").press("Enter")
    assert page.evaluate(zoom) > before
    page.get_by_role("button", name="Fit all into view").press("Enter")
    assert page.evaluate(zoom) == pytest.approx(before)


def test_what_comes_in_appears(open_page: Open, stand_in: StandIn) -> None:
    page = open_page()
    expect(page.locator("#line")).to_have_text("live")
    expect(page.locator("#feed > li")).to_have_count(5)
    stand_in.push(delivery(6, "2026-11-27T09:30:00Z", "just-now-1", entities=2, relations=1))
    first = page.locator("#feed > li").first
    expect(first).to_contain_text("just-now-1")
    expect(first).to_contain_text("2 entities · 1 relation")
    for words in ("set aside", "The extraction failed"):
        expect(page.locator("#feed")).to_contain_text(words)


def test_a_lost_connection_is_said_and_made_up_for(open_page: Open, stand_in: StandIn, noise: Noise) -> None:
    page = open_page()
    expect(page.locator("#line")).to_have_text("live")
    stand_in.failures["/api/events/stream"] = (503, {})
    with page.expect_response(lambda response: response.status == 503):
        stand_in.break_streams()
    expect(page.locator("#line")).to_have_text("connection lost, trying again")
    stand_in.sample.recent.insert(0, delivery(7, "2026-11-27T09:31:00Z", "missed-1"))
    del stand_in.failures["/api/events/stream"]
    expect(page.locator("#line")).to_have_text("live")
    expect(page.locator("#feed > li").first).to_contain_text("missed-1")
    noise.expected("503|ERR_")


def test_an_empty_base_says_so_and_fills(open_page: Open, stand_in: StandIn) -> None:
    stand_in.sample = Sample()
    page = open_page()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is here yet")
    expect(page.locator("#feed-none")).to_be_visible()
    expect(page.locator("#counts")).to_contain_text("entities")
    stand_in.sample = news()
    stand_in.push(delivery(8, "2026-11-27T09:32:00Z", "first-1"))
    expect(page.get_by_role("link", name=COMPANY)).to_be_visible()


def test_errors_are_sentences_and_can_be_tried_again(open_page: Open, stand_in: StandIn, noise: Noise) -> None:
    path = f"/api/entities/{identity(COMPANY)}"
    stand_in.failures[path] = (500, {"detail": "The graph is being rebuilt."})
    page = open_page(at(COMPANY))
    expect(page.locator("main")).to_contain_text("The graph is being rebuilt.")
    del stand_in.failures[path]
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(COMPANY)
    noise.expected("500")


def test_a_silent_server_is_not_a_blank_page(open_page: Open, noise: Noise) -> None:
    page = open_page()
    page.route("**/api/entities/**", lambda route: route.abort())
    page.get_by_role("link", name=COMPANY).click()
    expect(page.locator("main")).to_contain_text("The knowledge base does not answer.")
    noise.expected("ERR_FAILED")


def test_what_is_there_stays_until_the_new_is_there(open_page: Open, stand_in: StandIn) -> None:
    stand_in.delays_s[f"/api/entities/{identity(COMPANY)}"] = 0.6
    page = open_page()
    page.get_by_role("link", name=COMPANY).click()
    expect(page.locator("#progress")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("What the documents speak of")
    expect(page.get_by_role("heading", level=1)).to_have_text(COMPANY)
    expect(page.locator("#progress")).to_be_hidden()


def test_long_lists_come_in_parts(open_page: Open) -> None:
    page = open_page(at(LONG))
    expect(page.locator(".partly")).to_be_visible()
    expect(page.locator(".fact")).to_have_count(12)
    page.get_by_role("button", name="Show 12 more of 288").press("Enter")
    expect(page.locator(".fact")).to_have_count(24)
    expect(page.locator(".fact").nth(12)).to_be_focused()
    expect(page.locator(".mentions .evidence > li")).to_have_count(10)


@pytest.mark.parametrize(
    "address", ["", at(COMPANY), at(COMPANY, "/graph/2"), at(HOSTILE), at(HOSTILE, "/graph/1"), "#/no"]
)
def test_a_phone_scrolls_one_way_only(open_page: Open, address: str) -> None:
    page = open_page(address, size=PHONE)
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    rights = "(links) => links.map((link) => link.getBoundingClientRect().right)"
    assert max(page.locator("main :is(button, a):not(.scroll *)").evaluate_all(rights), default=0) <= PHONE["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ["", at(COMPANY), at(COMPANY, "/graph/1")])
def test_all_text_is_readable_in_both_schemes(open_page: Open, scheme: str, address: str) -> None:
    page = open_page(address, scheme=scheme)
    expect(page.locator("#feed > li")).to_have_count(5)
    unfold(page)
    page.mouse.move(0, 0)
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 30
    assert [each for each in contrasts if each[0] < 4.5] == []


@pytest.mark.parametrize("address", ["", at(COMPANY), at(COMPANY, "/graph/1"), "#/no"])
def test_everything_has_a_name_and_a_role(open_page: Open, address: str) -> None:
    page = open_page(address)
    unfold(page)
    basics = page.evaluate(BASICS)
    assert basics == {"twice": [], "nameless": [], "dangling": [], "headings": 1, "loose": 0, "language": "en"}
    for role in ("banner", "search", "main", "complementary", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)


def test_every_fact_opens_by_keyboard_and_focus_shows(open_page: Open) -> None:
    page = open_page(at(COMPANY))
    button = page.get_by_role("button", name="1 source for acquired, Lindholm Marine")
    page.get_by_role("link", name="Lindholm Marine").first.focus()
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    assert button.evaluate("(each) => getComputedStyle(each).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".fact blockquote").first).to_be_visible()


def test_the_library_is_the_one_that_is_written_down() -> None:
    told = (PAGE / "vendor/README.md").read_text(encoding="utf-8")
    files = re.findall(r"^\| `([\w.]+)`.*`([0-9a-f]{64})` \|$", told, re.MULTILINE)
    assert {name for name, _ in files} == {file.name for file in (PAGE / "vendor").iterdir() if file.suffix == ".mjs"}
    for name, sum_ in files:
        assert hashlib.sha256((PAGE / "vendor" / name).read_bytes()).hexdigest() == sum_


@pytest.mark.parametrize(
    ("name", "address", "scheme", "size"),
    [
        ("home", "", "light", DESK),
        ("light", at(COMPANY), "light", DESK),
        ("dark", at(COMPANY), "dark", DESK),
        ("chinese", at(PROFESSOR), "light", DESK),
        ("phone", at(COMPANY), "light", PHONE),
        ("graph", at(COMPANY, "/graph/2"), "light", DESK),
        ("graph-dark", at(COMPANY, "/graph/2"), "dark", DESK),
    ],
)
def test_screenshots(
    open_page: Open, stand_in: StandIn, name: str, address: str, scheme: str, size: ViewportSize
) -> None:
    stand_in.sample = news()
    page = open_page(address, scheme=scheme, size=size)
    expect(page.locator("#feed > li")).to_have_count(5)
    for button in page.locator(".fact button.open").all()[:3]:
        button.click()
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(0, 0)
    if "graph" in name:
        assert drawn(page)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    file = SCREENSHOTS / f"knowledge-{name}.png"
    page.screenshot(path=file)
    assert file.stat().st_size > 10_000
