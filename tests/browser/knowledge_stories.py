"""What the sample tells: ordinary news in two languages, and documents that try everything on the page."""

from browser.knowledge_sample import Reading, Sample, delivery

EMOJI = "Crew 👩‍👩‍👧 & 🌊😀 Zoë O’Brien"
ACCENTED = "Cafe\u0301 Noir"
"""Written with a combining accent."""
CUT_LETTER = "Cafe"
"""A value that ends between a letter and its accent."""
HOSTILE = (
    "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'> \"quoted\" & &amp;\r\n"
    "\u202egnitirw\u202c \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \x01\x0c\x1b\x7f end "
    '" onfocus="window.pwned = 5" autofocus="<svg onload=\'window.pwned = 3\'>'
    "<a href='javascript:window.pwned=4'>x</a>"
)
LONG = "Harbour register"


def everything() -> Sample:
    """The news, and what no news would hold."""
    sample = news()
    clusters(sample)
    hostile(sample)
    register(sample)
    return sample


def news() -> Sample:
    sample = Sample()
    shipyards(sample)
    university(sample)
    sample.recent = [
        delivery(5, "2026-11-27T08:59:30Z", "reuters-20261127-114", entities=6, relations=4, events=1),
        delivery(
            4, "2026-11-27T08:41:00Z", "复旦新闻-2026-1127-03", schema="news/relations-zh@1", entities=4, relations=3
        ),
        delivery(3, "2026-11-27T08:12:00Z", "gp-archive-1998-0042", state="stale"),
        delivery(2, "2026-11-27T07:50:00Z", "scan-unreadable-7", type="extraction.failed"),
        delivery(1, "2026-11-26T22:10:00Z", "reuters-20261126-871"),
    ]
    return sample


def shipyards(sample: Sample) -> None:
    sample.entity(
        "Castellan Group", "organisation", "company", also=("Castellan", "Castellan Group plc", "卡斯特兰集团")
    )
    sample.entity("Lindholm Marine", "organisation", also=("Lindholm",))
    sample.entity("Halden Shipyard", "organisation")
    sample.entity("Ingrid Castell", "person", also=("I. Castell", "Ms Castell"))
    sample.entity("Priya Rao", "person")
    sample.entity("Maren Okafor", "person")
    sample.entity("Gothenburg", "place", also=("Göteborg",))
    sample.entity("Rotterdam", "place")
    sample.entity("Nordic Wind Fund", "organisation", "fund")
    deal = Reading(
        "reuters-20261127-114",
        "Castellan Group acquired Lindholm Marine on Thursday for $1.2 billion, its chair Ingrid Castell said in "
        "Gothenburg.",
        before=412,
        adapter="adapters/news-lora-2026-10",
        ended_at="2026-11-27T08:59:30Z",
    )
    shown = Reading("reuters-20261126-871", "CASTELLAN GROUP has had its seat in Göteborg since 1987.", before=77)
    chair = Reading(
        "annual-report-2025", "I. Castell founded the Castellan Group with Priya Rao.", version=3, confidence=0.71
    )
    sites = Reading(
        "ft-20260914-22",
        "Lindholm Marine runs yards in Rotterdam and, with Halden Shipyard, supplies the Nordic Wind Fund.",
        before=9_021,
        ended_at="2026-09-14T16:20:00Z",
        confidence=None,
    )
    sample.fact("Castellan Group", "acquired", "Lindholm Marine", deal)
    sample.fact(
        "Castellan Group",
        "acquired",
        "Halden Shipyard",
        shown,
        [("subject", "CASTELLAN GROUP|Castellan Group"), ("object", "Halden Shipyard")],
    )
    sample.fact(
        "Castellan Group",
        "based in",
        "Gothenburg",
        shown,
        [("subject", "CASTELLAN GROUP|Castellan Group"), ("object", "Göteborg|Gothenburg")],
    )
    sample.fact("Castellan Group", "based in", "Gothenburg", deal)
    sample.fact(
        "Castellan Group",
        "founded by",
        "Ingrid Castell",
        chair,
        [("subject", "Castellan Group"), ("object", "I. Castell|Ingrid Castell")],
    )
    sample.fact("Castellan Group", "founded by", "Priya Rao", chair)
    sample.fact("Ingrid Castell", "chairs", "Castellan Group", deal)
    sample.fact(
        "Maren Okafor",
        "works for",
        "Castellan Group",
        Reading("gp-archive-1998-0042", "Maren Okafor joined the Castellan Group in 1998."),
    )
    sample.fact("Lindholm Marine", "operates in", "Rotterdam", sites)
    sample.fact("Lindholm Marine", "supplies", "Nordic Wind Fund", sites)
    sample.fact("Halden Shipyard", "supplies", "Nordic Wind Fund", sites)
    sample.fact("Ingrid Castell", "lives in", "Gothenburg", deal)
    roles = [("buyer", "Castellan Group"), ("acquired", "Lindholm Marine"), ("place", "Gothenburg")]
    sample.event("acquisition", deal, "acquired", roles)
    sample.event("appointment", chair, None, [("company", "Castellan Group"), ("appointee", "Priya Rao")])


def university(sample: Sample) -> None:
    sample.entity("张伟", "人物", also=("张伟教授",))
    sample.entity("复旦大学", "组织机构", also=("复旦",))
    sample.entity("上海", "地点", also=("上海市", "Shanghai"))
    sample.entity("华东实验室", "组织机构")
    reading = Reading(
        "复旦新闻-2026-1127-03",
        "张伟教授于2026年在上海创立了华东实验室，此前他在复旦大学任教二十年。",
        before=58,
        schema="news/relations-zh@1",
        ended_at="2026-11-27T08:41:00Z",
    )
    sample.fact("张伟", "任职于", "复旦大学", reading)
    sample.fact("张伟", "创立", "华东实验室", reading)
    sample.fact("华东实验室", "位于", "上海", reading)
    sample.fact(
        "复旦大学",
        "位于",
        "上海",
        Reading("百科-复旦大学", "复旦大学位于上海市杨浦区。", before=3, schema="news/relations-zh@1"),
    )
    sample.event("成立", reading, "创立", [("创立者", "张伟"), ("机构", "华东实验室"), ("地点", "上海")])


def clusters(sample: Sample) -> None:
    """Characters outside the first plane, joined emoji, combining accents: each makes UTF-16 and code points differ."""
    sample.entity(EMOJI, "person")
    sample.entity("𠮷田", "person")
    sample.entity(ACCENTED, "place")
    sample.entity(CUT_LETTER, "word")
    text = f"𝒜 🌊🌊 {EMOJI} met 𠮷田 at {ACCENTED}; 日本語 𝒜 end."
    reading = Reading("emoji-1", text, before=1_000)
    sample.fact(EMOJI, "met", "𠮷田", reading)
    sample.fact("𠮷田", "was at", ACCENTED, reading)
    sample.fact("𠮷田", "wrote", CUT_LETTER, reading)


def hostile(sample: Sample) -> None:
    sample.entity(HOSTILE, HOSTILE, also=(f"also {HOSTILE}",))
    sample.entity("innocent", HOSTILE)
    reading = Reading(HOSTILE, f"Before {HOSTILE} after, innocent.", 1, HOSTILE, 7, HOSTILE, HOSTILE, HOSTILE)
    sample.fact(HOSTILE, HOSTILE, "innocent", reading, [(HOSTILE, HOSTILE), ("object", "innocent")])
    sample.event(HOSTILE, reading, HOSTILE, [(HOSTILE, HOSTILE), ("other", "innocent")])


def register(sample: Sample) -> None:
    """One entity with more of everything than a page shows at once."""
    sample.entity(LONG, "register")
    for number in range(320):
        ship = f"Ship {number:03}"
        sample.entity(ship, "vessel")
        reading = Reading(f"register-{number:03}", f"{ship} entered the Harbour register.", ended_at=None)
        sample.fact(ship, "listed in", LONG, reading)
