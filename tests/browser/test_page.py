"""The page of `sluice view` in a real Chromium: what is marked, what runs, what the controls do.

Needs Debian's packages `chromium` and `chromium-driver`, and the Python package `selenium`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from sluice_producer.view.page import render
from sluice_schemas.extraction import Argument, EventMention, Extraction, Mention, Problem, Relation, Span

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--window-size=1200,900",
)
EMOJI = "🌊😀 Zoë O’Brien 👩‍👩‍👧 met 𠮷田 at Cafe\u0301 Noir; 日本語 𝒜 end."
HOSTILE = (
    "<script>window.pwned = 1</script></script><img src=x onerror='window.pwned = 2'> \"quoted\" 'single' & &amp;\r\n"
    "line\rline\n\u202egnitirw\u202c \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \x01\x0c\x1b\x7f\x85\x9b end "
    '" onfocus="window.pwned = 5" autofocus="<svg onload=\'window.pwned = 3\'>'
    "<a href='javascript:window.pwned=4'>x</a>"
)


def placed(text: str, value: str, type_: str | None) -> Mention:
    start = text.index(value)
    return Mention(text=value, type=type_, span=Span(start=start, end=start + len(value)), status="exact")


def result(document_id: str, text: str, **fields: object) -> Extraction:
    defaults = {"job_id": "j", "schema_ref": "news/entities-en@1", "task": "NER", "language": "en", "model": "tiny"}
    return Extraction.model_validate({**defaults, "document_id": document_id, "text": text, **fields})


def emoji() -> Extraction:
    values = (("Zoë O’Brien", "person"), ("𠮷田", "person"), ("Cafe\u0301 Noir", "place"), ("日本語", "language"))
    crossing = (("Cafe\u0301", "food"), ("Noir; 日本語 𝒜", "phrase"), ("👩‍👩‍👧", "family"))
    return result("emoji", EMOJI, entities=[placed(EMOJI, *pair) for pair in (*values, *crossing)])


def hostile() -> Extraction:
    mention = placed(HOSTILE, "'window.pwned = 2'> \"quoted\" 'single' & &amp;\r\nline\rline\n\u202egnitirw", HOSTILE)
    return result(
        HOSTILE[:200],
        HOSTILE,
        schema_ref=HOSTILE,
        model=HOSTILE,
        task="RE",
        entities=[mention],
        relations=[Relation(type=HOSTILE, head=mention, tail=Mention(text=HOSTILE))],
        problems=[Problem(kind="unparsed", detail=HOSTILE, raw=HOSTILE)],
    )


def founding() -> Extraction:
    text = "Priya Rao founded Lattice Foods in Bristol."
    head, tail = placed(text, "Lattice Foods", None), placed(text, "Priya Rao", None)
    place = placed(text, "Bristol", None)
    relations = [Relation(type="founded by", head=head, tail=tail), Relation(type="based in", head=head, tail=place)]
    return result("founding", text, task="RE", schema_ref="news/relations-en@1", relations=relations)


def takeover() -> Extraction:
    text = "The shipyard closed. " * 400 + "Castellan acquired Lindholm."
    buyer, trigger = placed(text, "Castellan", None), placed(text, "acquired", None)
    arguments = (Argument(role="buyer", value=buyer), Argument(role="price", value=Mention(text="$9")))
    event = EventMention(type="acquisition", trigger=trigger, arguments=arguments)
    problem = Problem(kind="ungrounded", detail="A value does not stand in the text.")
    return result("takeover", text, task="EE", schema_ref="news/events-en@1", events=[event], problems=[problem])


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture
def page(chromium: webdriver.Chrome, tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """The sample, freshly loaded. Whatever a test does, the console must stay silent."""
    file = tmp_path / "index.html"
    file.write_text(render([emoji(), hostile(), founding(), takeover()]), encoding="utf-8", newline="")
    console(chromium)
    chromium.get(file.as_uri())
    yield chromium
    assert console(chromium) == []


def console(chromium: webdriver.Chrome) -> list[str]:
    """What the console said since the last call."""
    return [entry["message"] for entry in chromium.execute("getLog", {"type": "browser"})["value"]]


def card(page: webdriver.Chrome, number: int) -> WebElement:
    return page.find_element(By.ID, f"d{number}")


def shown(page: webdriver.Chrome) -> list[int]:
    cards = page.find_elements(By.TAG_NAME, "article")
    return [number for number, each in enumerate(cards) if each.is_displayed()]


def content(element: WebElement) -> str:
    text = element.get_property("textContent")
    assert isinstance(text, str)
    return text


def lit(card_: WebElement) -> list[str]:
    return [content(mark) for mark in card_.find_elements(By.CSS_SELECTOR, "mark.lit")]


def test_marks_hold_exactly_their_code_points(page: webdriver.Chrome) -> None:
    pieces: dict[str, str] = {}
    for mark in card(page, 0).find_elements(By.CSS_SELECTOR, ".text mark"):
        assert mark.is_displayed()
        number = mark.get_attribute("data-m") or ""
        pieces[number] = pieces.get(number, "") + content(mark)
    spans = [entity.span for entity in emoji().entities]
    assert pieces == {str(number): EMOJI[span.start : span.end] for number, span in enumerate(spans) if span}
    assert content(page.find_element(By.ID, "x0")) == EMOJI


def test_marks_are_coloured_and_labelled(page: webdriver.Chrome) -> None:
    look = "const at = getComputedStyle(arguments[0], arguments[1] || null); return [at.backgroundColor, at.content]"
    marks = card(page, 0).find_elements(By.CSS_SELECTOR, "mark.e")
    colours = {page.execute_script(look, mark)[0] for mark in marks}
    assert len(colours) == 6  # one for each label
    assert "rgba(0, 0, 0, 0)" not in colours
    assert "person" in page.execute_script(look, marks[0], "::after")[1]


def test_nothing_of_a_hostile_document_runs_and_all_of_it_shows(page: webdriver.Chrome) -> None:
    assert page.execute_script("return window.pwned") is None
    assert content(page.find_element(By.ID, "x1")) == HOSTILE
    assert len(page.find_elements(By.CSS_SELECTOR, "script")) == 1
    assert page.find_elements(By.CSS_SELECTOR, "img, a[href^=javascript], svg[onload]") == []


def test_the_page_asks_nothing_of_the_network(page: webdriver.Chrome) -> None:
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize(
    "attack",
    [
        "const s = document.createElement('script'); s.textContent = 'window.pwned = 9'; document.body.append(s)",
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned = 9\">')",
    ],
)
def test_the_policy_stops_what_escaping_would_miss(chromium: webdriver.Chrome, tmp_path: Path, attack: str) -> None:
    file = tmp_path / "index.html"
    file.write_text(render([emoji()]), encoding="utf-8")
    chromium.get(file.as_uri())
    chromium.execute_script(attack)
    chromium.execute_async_script("setTimeout(arguments[0], 100)")
    assert chromium.execute_script("return window.pwned") is None
    assert any("Content Security Policy" in message for message in console(chromium))


@pytest.mark.parametrize(
    ("field", "value", "cards"),
    [
        ("task", "RE", [1, 2]),
        ("task", "EE", [3]),
        ("schema", "news/relations-en@1", [2]),
        ("schema", HOSTILE, [1]),
        ("status", "absent", [1, 3]),
        ("status", "grounded", [0, 2]),
        ("status", "problems", [1, 3]),
        ("status", "nothing", []),
    ],
)
def test_filters(page: webdriver.Chrome, field: str, value: str, cards: list[int]) -> None:
    options = Select(page.find_element(By.ID, field)).options
    next(option for option in options if option.get_property("value") == value).click()
    assert shown(page) == cards
    assert page.find_element(By.ID, "count").text == f"{len(cards)} of 4"
    assert page.find_element(By.ID, "empty").is_displayed() == (not cards)


@pytest.mark.parametrize(
    ("query", "cards"),
    [
        ("LATTICE", [2]),  # the case of letters does not count
        ("日本語", [0]),
        ("Caf\u00e9 noir", [0]),  # nor does how an accent is written
        ("<script>", [1]),
        ("zzz", []),
    ],
)
def test_search(page: webdriver.Chrome, query: str, cards: list[int]) -> None:
    page.find_element(By.TAG_NAME, "body").send_keys("/")
    page.switch_to.active_element.send_keys(query)
    assert shown(page) == cards


def test_an_empty_search_can_be_cleared(page: webdriver.Chrome) -> None:
    page.find_element(By.ID, "find").send_keys("zzz")
    page.find_element(By.ID, "clear").click()
    assert shown(page) == [0, 1, 2, 3]


def test_pointing_at_a_relation_lights_its_members(page: webdriver.Chrome) -> None:
    facts = card(page, 2).find_elements(By.CSS_SELECTOR, ".facts .fact")
    ActionChains(page).move_to_element(facts[0]).perform()
    assert lit(card(page, 2)) == ["Priya Rao", "Lattice Foods"]
    ActionChains(page).move_to_element(page.find_element(By.ID, "t2")).perform()
    assert lit(card(page, 2)) == []


def test_pointing_at_a_mark_shows_the_relations_it_is_in(page: webdriver.Chrome) -> None:
    mark = card(page, 2).find_element(By.CSS_SELECTOR, "mark[data-t='based in']")
    ActionChains(page).move_to_element(mark).perform()
    facts = card(page, 2).find_elements(By.CSS_SELECTOR, ".facts .fact.lit")
    assert [fact.text for fact in facts] == ["Lattice Foods based in Bristol"]


def test_the_keyboard_reaches_and_holds_a_relation(page: webdriver.Chrome) -> None:
    first, second = card(page, 2).find_elements(By.CSS_SELECTOR, ".facts .fact")
    page.execute_script("arguments[0].focus()", first)
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element == second
    second.send_keys(Keys.ENTER)
    assert second.get_attribute("aria-pressed") == "true"
    second.send_keys(Keys.TAB)
    assert lit(card(page, 2)) == ["Lattice Foods", "Bristol"]
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert (lit(card(page, 2)), second.get_attribute("aria-pressed")) == ([], "false")


def test_a_long_text_unfolds_by_its_button_and_folds_again(page: webdriver.Chrome) -> None:
    text, more = page.find_element(By.ID, "x3"), card(page, 3).find_element(By.CLASS_NAME, "more")
    folded = text.size["height"]
    assert (more.text, more.get_attribute("aria-expanded")) == ("Show all 8,428 characters", "false")
    more.click()
    assert text.size["height"] > 4 * folded
    assert (more.text, more.get_attribute("aria-expanded")) == ("Show less", "true")
    more.click()
    assert text.size["height"] == folded


def test_pressing_an_event_unfolds_the_text_that_holds_it(page: webdriver.Chrome) -> None:
    card(page, 3).find_element(By.CSS_SELECTOR, ".facts .fact").click()
    assert card(page, 3).find_element(By.CLASS_NAME, "more").get_attribute("aria-expanded") == "true"
    assert lit(card(page, 3)) == ["Castellan", "acquired"]


def test_values_that_do_not_stand_in_the_text_are_apart(page: webdriver.Chrome) -> None:
    assert card(page, 3).find_element(By.CLASS_NAME, "lost").text == "Not found in the text\n$9 price"
    assert "A value does not stand in the text." in card(page, 3).find_element(By.CLASS_NAME, "faults").text


def test_labels_can_be_hidden(page: webdriver.Chrome) -> None:
    mark = card(page, 2).find_element(By.CSS_SELECTOR, "mark[data-t]")
    page.find_element(By.ID, "names").click()
    assert page.execute_script("return getComputedStyle(arguments[0], '::after').content", mark) == "none"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_readable_in_both_themes(page: webdriver.Chrome, theme: str) -> None:
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
    colour = "return getComputedStyle(document.documentElement)[arguments[0]].match(/\\d+/g).map(Number)"
    ink, paper = sum(page.execute_script(colour, "color")[:3]), sum(page.execute_script(colour, "backgroundColor")[:3])
    assert (ink - paper > 400) if theme == "dark" else (paper - ink > 400)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_phone_scrolls_one_way_only(page: webdriver.Chrome) -> None:
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert page.execute_script("return document.documentElement.scrollWidth") == 390
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_print_shows_the_whole_text_and_no_controls(page: webdriver.Chrome) -> None:
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert page.find_element(By.ID, "x3").size["height"] > 1_000
    assert not page.find_element(By.ID, "tools").is_displayed()
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
