"""From a text to its extraction, with an engine that answers by script: every task, and everything that goes wrong."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sluice_schemas.document import Document
from sluice_schemas.errors import BadInput, EngineDead, Misconfigured, Retryable
from sluice_schemas.extraction import Extraction, Mention, Span
from sluice_schemas.schema import ExtractionSchema
from sluice_worker.engine.request import Completion, ModelCard, Token
from sluice_worker.engine.scripted import ScriptedEngine
from sluice_worker.harvest import Answer, language_of, merge
from sluice_worker.plan import Limits, plan
from sluice_worker.protocol.instruction import dump
from sluice_worker.work import extract

LIMITS = Limits(chunk_tokens=1000, overlap_tokens=0, answer_tokens=500)


def schema(task: str, types: list[Any], language: str = "en", **fields: Any) -> ExtractionSchema:
    listed = [{"name": each} if isinstance(each, str) else each for each in types]
    return ExtractionSchema.of({"id": "s", "version": 1, "task": task, "language": language, "types": listed, **fields})


def asked(prompt: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(prompt[prompt.index("{") : prompt.rindex("}") + 1])
    return parsed


def run(text: str, given: ExtractionSchema, answer: Any, *, limits: Limits = LIMITS) -> Extraction:
    """`answer` is an object, a string, or a function from the instruction to either."""

    def script(prompt: str) -> str:
        said = answer(asked(prompt)) if callable(answer) else answer
        return said if isinstance(said, str) else dump(said)

    return extract(Document(id="d", text=text), given, engine=ScriptedEngine(script), limits=limits)


def spans(text: str, mentions: Any) -> list[tuple[str, str | None, int | None]]:
    """(text, type, start) of each, after checking that its span really holds it."""
    for each in mentions:
        assert each.span is None or text[each.span.start : each.span.end] == each.text
        assert each.confidence is None or 0 <= each.confidence <= 1
    return [(each.text, each.type, each.span and each.span.start) for each in mentions]


def kinds(extraction: Extraction) -> list[str]:
    return [each.kind for each in extraction.problems]


EN = "Ann Lee founded Acme in Paris in 1999. Bob joined Acme."
ZH = "张三1999年在巴黎创立了极光公司。李四加入极光公司。"


@pytest.mark.parametrize(
    ("text", "language", "person", "company"),
    [(EN, "en", "Ann Lee", "Acme"), (ZH, "zh", "张三", "极光公司")],
)
class TestEveryTask:
    def test_ner(self, text: str, language: str, person: str, company: str) -> None:
        found = run(text, schema("NER", ["p", "c", "x"], language), {"p": [person], "c": [company, company], "x": []})
        first = text.index(company)
        assert spans(text, found.entities) == [
            (person, "p", 0),
            (company, "c", first),
            (company, "c", text.index(company, first + 1)),
        ]
        assert (found.language, found.problems, found.usage.requests) == (language, (), 1)

    def test_re(self, text: str, language: str, person: str, company: str) -> None:
        answer = {"founded by": [{"head": company, "tail": person}]}
        (relation,) = run(text, schema("RE", ["founded by"], language), answer).relations
        assert relation.type == "founded by"
        ends = spans(text, [relation.head, relation.tail])
        assert ends == [(company, None, text.index(company)), (person, None, 0)]

    def test_spo(self, text: str, language: str, person: str, company: str) -> None:
        types = [{"name": "founder", "subject_type": "org", "object_type": "person"}]
        answer = {"founder": [{"subject": company, "object": person}]}
        (relation,) = run(text, schema("SPO", types, language), answer).relations
        assert (relation.head.type, relation.tail.type) == ("org", "person")

    @pytest.mark.parametrize("task", ["EE", "EEA"])
    def test_events_with_arguments(self, task: str, text: str, language: str, person: str, company: str) -> None:
        types = [{"name": "start", "roles": [{"name": "who"}, {"name": "what"}, {"name": "why"}]}]
        trigger = "founded" if language == "en" else "创立"
        arguments = {"who": person, "what": [company], "why": "NAN"}
        answer = {"start": [{"trigger": trigger, "arguments": arguments}]}
        (event,) = run(text, schema(task, types, language), answer).events
        assert event.trigger is not None
        spans(text, [event.trigger, *(each.value for each in event.arguments)])
        assert (event.type, event.trigger.text) == ("start", trigger)
        assert [(each.role, each.value.text) for each in event.arguments] == [("who", person), ("what", company)]

    def test_eet(self, text: str, language: str, person: str, company: str) -> None:
        trigger = "founded" if language == "en" else "创立"
        (event,) = run(text, schema("EET", ["start"], language), {"start": [trigger]}).events
        assert event.trigger is not None
        assert (event.trigger.text, event.arguments) == (trigger, ())

    def test_kg(self, text: str, language: str, person: str, company: str) -> None:
        types = [{"name": "org", "attributes": [{"name": "founder"}, {"name": "year"}]}]
        answer = {"org": {company: {"founder": person, "year": ["1999"]}}}
        found = run(text, schema("KG", types, language), answer)
        assert spans(text, found.entities) == [(company, "org", text.index(company))]
        said = [(each.type, each.head.text, each.head.type, each.tail.text) for each in found.relations]
        assert said == [("founder", company, "org", person), ("year", company, "org", "1999")]


def test_eea_without_a_trigger_and_with_flat_roles() -> None:
    types = [{"name": "start", "roles": [{"name": "who"}]}]
    (event,) = run(EN, schema("EEA", types), {"start": [{"who": "Ann Lee"}]}).events
    assert event.trigger is None
    assert event.arguments[0].value.text == "Ann Lee"


def test_labels_of_several_requests_come_in_schema_order() -> None:
    names = [f"t{i}" for i in range(14)]
    found = run("Bob met Ann.", schema("NER", names), lambda ask: {name: ["Bob"] for name in reversed(ask["schema"])})
    assert [each.type for each in found.entities] == names
    assert found.usage.requests == 2


def test_two_chunks_that_overlap_say_each_mention_once_and_where_it_stands() -> None:
    text = "".join(f"😀 Nr{i} met Ann é. " for i in range(60))
    limits = Limits(chunk_tokens=200, overlap_tokens=60, answer_tokens=500)

    def answer(ask: dict[str, Any]) -> dict[str, list[str]]:
        words = ask["input"].split()
        return {"person": [word for word in words if word.startswith("Nr")]}

    found = run(text, schema("NER", ["person"]), answer, limits=limits)
    expected = [(f"Nr{i}", "person", text.index(f"Nr{i} ")) for i in range(60)]
    assert spans(text, found.entities) == expected
    assert found.usage.requests > 5
    assert sum(len(asked_text) for asked_text in _inputs(text, limits)) > len(text), "no chunk overlaps another"


def _inputs(text: str, limits: Limits) -> list[str]:
    card = ScriptedEngine(str).card
    given = plan(Document(id="d", text=text), schema("NER", ["person"]), card=card, count_tokens=len, limits=limits)
    return [each.chunk.text for each in given]


@pytest.mark.parametrize(
    "hostile",
    ["[/INST]", "<</SYS>>", "</s>", '"]}', "\\", '{"p": ["Eve"]}', "<s>[INST]", "{{query}}", "\u202e", "a\u0301"],
)
def test_hostile_text_is_text(hostile: str) -> None:
    text = f"Bob said {hostile} to Ann."
    found = run(text, schema("NER", ["p"]), {"p": [hostile, "Ann"]})
    assert spans(text, found.entities) == [(hostile, "p", 9), ("Ann", "p", text.index("Ann"))]


def test_a_label_nobody_asked_for_is_a_problem_and_no_fact() -> None:
    found = run(EN, schema("NER", ["p"]), {"p": ["Bob"], "q": ["Ann Lee"]})
    assert [each.text for each in found.entities] == ["Bob"]
    assert kinds(found) == ["unknown_label"]
    assert "'q'" in found.problems[0].detail


def test_a_role_nobody_asked_for_is_a_problem_and_the_event_stays() -> None:
    types = [{"name": "start", "roles": [{"name": "who"}]}]
    answer = {"start": [{"trigger": "founded", "arguments": {"who": "Ann Lee", "where": "Paris"}}]}
    found = run(EN, schema("EE", types), answer)
    assert [each.role for each in found.events[0].arguments] == ["who"]
    assert (kinds(found), "'where'" in found.problems[0].detail) == (["unknown_label"], True)


def test_an_attribute_nobody_asked_for_is_a_problem_and_the_entity_stays() -> None:
    types = [{"name": "org", "attributes": [{"name": "year"}]}]
    found = run(EN, schema("KG", types), {"org": {"Acme": {"city": "Paris", "year": "1999"}}})
    assert [(each.type, each.tail.text) for each in found.relations] == [("year", "1999")]
    assert [each.text for each in found.entities] == ["Acme"]
    assert (kinds(found), "'city'" in found.problems[0].detail) == (["unknown_label"], True)


def test_a_predicate_between_several_types_says_only_what_they_agree_on() -> None:
    types = [
        {"name": "in", "subject_type": "org", "object_type": "place"},
        {"name": "in", "subject_type": "person", "object_type": "place"},
    ]
    (relation,) = run(EN, schema("SPO", types), {"in": [{"subject": "Acme", "object": "Paris"}]}).relations
    assert (relation.head.type, relation.tail.type) == (None, "place")


def test_a_value_that_stands_nowhere_is_kept_and_told() -> None:
    found = run(EN, schema("NER", ["p"]), {"p": ["Bob", "Zacharias Zweig"]})
    assert spans(EN, found.entities)[1] == ("Zacharias Zweig", "p", None)
    assert found.entities[1].status == "absent"
    assert (kinds(found), "'Zacharias Zweig'" in found.problems[0].detail) == (["ungrounded"], True)


def test_entities_of_a_flat_schema_do_not_overlap_and_what_is_left_out_is_told() -> None:
    answer = {"p": ["Ann Lee"], "c": ["Lee", "Acme"]}
    nested = run(EN, schema("NER", ["p", "c"]), answer)
    assert [each.text for each in nested.entities] == ["Ann Lee", "Lee", "Acme"]
    found = run(EN, schema("NER", ["p", "c"], flat=True), answer)
    assert spans(EN, found.entities) == [("Ann Lee", "p", 0), ("Acme", "c", EN.index("Acme"))]
    (problem,) = found.problems
    assert (problem.kind, problem.chunk) == ("overlapping", Span(start=4, end=7))
    assert "'Lee' as 'c'" in problem.detail


def test_an_answer_that_had_to_be_repaired() -> None:
    raw = "```json\n{'p': ['Bob',]}\n```"
    found = run(EN, schema("NER", ["p"]), raw)
    assert [each.text for each in found.entities] == ["Bob"]
    assert (kinds(found), found.problems[0].raw) == (["repaired"], raw)


def test_an_answer_that_is_no_json() -> None:
    found = run(EN, schema("NER", ["p"]), "I am sorry.")
    assert (found.entities, kinds(found), found.problems[0].raw) == ((), ["unparsed"], "I am sorry.")


def test_an_answer_cut_at_its_limit_keeps_what_was_said() -> None:
    limits = Limits(chunk_tokens=1000, overlap_tokens=0, answer_tokens=20)
    found = run(EN, schema("NER", ["p"]), {"p": ["Bob", "Ann Lee", "Acme"]}, limits=limits)
    assert found.entities[0].text == "Bob"
    assert kinds(found)[:2] == ["cut_answer", "repaired"]


def test_a_part_that_cannot_be_used_is_told() -> None:
    found = run(EN, schema("NER", ["p"]), {"p": ["Bob", {"x": 1}]})
    assert ([each.text for each in found.entities], kinds(found)) == (["Bob"], ["skipped"])


def test_the_answer_is_kept_once_however_many_parts_cannot_be_used() -> None:
    found = run(EN, schema("NER", ["p"]), {"p": [1] * 100, "q": 2})
    (problem,) = found.problems
    assert (problem.kind, problem.raw) == ("skipped", dump({"p": [1] * 100, "q": 2}))
    assert "p[99]: not a string; q: not a list" in problem.detail


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("NER", '{"p": ["Bob"], "\\ud83d": 1}'),  # half a character as a label
        ("NER", '{"p": ["Bob"], "\\ud83d": ["Ann"]}'),
        ("NER", '{"p": ["Bob"]} \ud83d'),  # in the answer itself, as a server's JSON may hold it
        ("EE", '{"p": [{"trigger": "Bob", "arguments": {"\\ud83d": "Ann"}}]}'),  # as a role, where any may be given
    ],
)
def test_half_a_character_that_a_model_wrote_can_be_stored(task: str, answer: str) -> None:
    found = run(EN, schema(task, ["p"]), answer)
    assert len([*found.entities, *found.events]) == 1
    assert Extraction.decode(found.encode()) == found


@pytest.mark.timeout(8)
def test_many_attributes_take_no_long_time() -> None:
    types = [{"name": "org", "attributes": [{"name": "year"}]}]
    answer = {"org": {"Acme": {"year": [*map(str, range(20_000))]}}}
    engine = ScriptedEngine(lambda prompt: dump(answer), answer_tokens=1_000_000)
    limits = Limits(chunk_tokens=1000, overlap_tokens=0, answer_tokens=1_000_000)
    found = extract(Document(id="d", text=EN), schema("KG", types), engine=engine, limits=limits)
    assert len(found.relations) == 20_000


def _fails_on(word: str, error: Exception) -> Callable[[dict[str, Any]], dict[str, list[str]]]:
    def answer(ask: dict[str, Any]) -> dict[str, list[str]]:
        if word in ask["input"]:
            raise error
        return {"p": ["Bob"]}

    return answer


def test_a_failed_request_among_others_is_a_problem_of_its_chunk() -> None:
    text = "Bob sleeps well. " * 30 + "Fatal words. " + "Bob sleeps well. " * 30
    limits = Limits(chunk_tokens=200, overlap_tokens=0, answer_tokens=500)
    found = run(text, schema("NER", ["p"]), _fails_on("Fatal", Retryable("no luck")), limits=limits)
    (problem,) = found.problems
    assert (problem.kind, "no luck" in problem.detail) == ("failed_request", True)
    assert problem.chunk is not None
    assert "Fatal" in text[problem.chunk.start : problem.chunk.end]
    assert len(found.entities) == found.usage.requests - 1


@pytest.mark.parametrize("error", [BadInput("too long"), Retryable("no luck"), ValueError("a bug")])
def test_when_all_requests_fail_the_first_error_is_raised(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        run("Fatal words. " * 100, schema("NER", ["p"]), _fails_on("Fatal", error))


def test_a_dead_engine_is_raised_though_other_requests_were_answered() -> None:
    text = "Bob sleeps well. " * 30 + "Fatal words."
    limits = Limits(chunk_tokens=200, overlap_tokens=0, answer_tokens=500)
    with pytest.raises(EngineDead):
        run(text, schema("NER", ["p"]), _fails_on("Fatal", EngineDead()), limits=limits)


def test_a_schema_too_large_for_the_context_says_what_to_do() -> None:
    types = [{"name": f"t{i}", "description": "x" * 900} for i in range(20)]
    with pytest.raises(BadInput, match="Lower split_num, or shorten descriptions"):
        run(EN, schema("NER", types, describe_types=True), {})


def test_a_decoding_level_that_the_engine_lacks() -> None:
    with pytest.raises(Misconfigured, match="asks for 'json' decoding"):
        run(EN, schema("NER", ["p"], decoding="json"), {})


def test_descriptions_and_examples_reach_the_model() -> None:
    seen: list[dict[str, Any]] = []

    def answer(ask: dict[str, Any]) -> dict[str, list[str]]:
        seen.append(ask)
        return {"p": ["Bob"]}

    example = {"input": "Zoe.", "output": {"p": ["Zoe"]}}
    given = schema("NER", [{"name": "p", "description": "a person"}], describe_types=True, examples=[example])
    assert run(EN, given, answer).entities
    assert (seen[0]["schema"], seen[0]["example"]) == ({"p": "a person"}, [example])


def confident(task: str, types: list[Any], text: str, pieces: list[tuple[str, float]]) -> Extraction:
    """The extraction from an answer given token by token, each with its log-probability."""
    given, document = schema(task, types), Document(id="d", text=text)
    card = ModelCard("m", 3000, 1000, 500)
    (question,) = plan(document, given, card=card, count_tokens=len, limits=LIMITS)
    tokens = tuple(Token(*piece) for piece in pieces)
    completion = Completion("".join(piece for piece, _ in pieces), tokens, True, 1)
    return merge(document, given, [Answer(question, completion)], card=card)


SURE, UNSURE = -0.001, -2.0


def test_confidence_is_that_of_the_values_own_tokens() -> None:
    pieces = [('{"p": ["', SURE), ("Bob", SURE), ('", "', SURE), ("Ann", UNSURE), (" Lee", UNSURE), ('"]}', SURE)]
    bob, ann = confident("NER", ["p"], EN, pieces).entities
    assert bob.confidence == pytest.approx(0.999, abs=1e-3)
    assert ann.confidence == pytest.approx(0.1353, abs=1e-3)


def test_a_trigger_that_reads_like_its_label_has_its_own_confidence() -> None:
    pieces = [('{"', SURE), ("founded", SURE), ('": ["', SURE), ("founded", UNSURE), ('"]}', SURE)]
    (event,) = confident("EET", ["founded"], EN, pieces).events
    assert event.trigger is not None
    assert event.trigger.confidence == pytest.approx(0.1353, abs=1e-3)


def test_an_argument_that_reads_like_its_role_has_its_own_confidence() -> None:
    types = [{"name": "start", "roles": [{"name": "Acme"}, {"name": "Bob"}]}]
    pieces = [('{"start": [{"trigger": "', SURE), ("joined", SURE), ('", "arguments": {"', SURE)]
    pieces += [("Acme", SURE), ('": "', SURE), ("Acme", UNSURE), ('", "', SURE), ("Bob", SURE), ('": "', SURE)]
    pieces += [("Bob", UNSURE), ('"}}]}', SURE)]
    (event,) = confident("EE", types, EN, pieces).events
    for each in event.arguments:
        assert each.value.confidence == pytest.approx(0.1353, abs=1e-3)


def test_a_node_and_its_attributes_have_their_own_confidence() -> None:
    types = [{"name": "org", "attributes": [{"name": "year"}, {"name": "city"}]}]
    pieces = [('{"org": {"', SURE), ("Acme", UNSURE), ('": {"year": "', SURE), ("1999", SURE), ('", "city": "', SURE)]
    pieces += [("Paris", UNSURE), ('"}}}', SURE)]
    found = confident("KG", types, EN, pieces)
    assert found.entities[0].confidence == pytest.approx(0.1353, abs=1e-3)
    year, city = (each.tail.confidence for each in found.relations)
    assert year == pytest.approx(0.999, abs=1e-3)
    assert city == pytest.approx(0.1353, abs=1e-3)


def test_a_later_label_is_not_looked_for_in_an_earlier_value() -> None:
    """Label q is also a value of p; the confidences after it must not slip."""
    pieces = [('{"p": ["', SURE), ("Acme", SURE), ('"], "', SURE), ("Acme", SURE), ('": ["', SURE), ("Bob", UNSURE)]
    pieces += [('", "', SURE), ("Paris", SURE), ('"]}', SURE)]
    found: tuple[Mention, ...] = confident("NER", ["p", "Acme"], EN, pieces).entities
    assert [round(each.confidence or 0, 1) for each in found] == [1.0, 0.1, 1.0]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Bob sleeps.", "en"),  # no Han at all
        ("张三睡觉。", "zh"),  # Han but for the full stop
        ("微软 Microsoft Azure 云服务", "zh"),  # names are Latin in Chinese too
        ("The word 道 means way in Chinese philosophy.", "en"),  # one Han character in English
        ("😀😀😀", "en"),  # neither
        ("Bob sleeps. " * 300_000, "en"),  # long
        ("张三睡觉。" * 200_000, "zh"),  # long
    ],
)
def test_the_language_of_a_text(text: str, language: str) -> None:
    assert language_of(text) == language


def test_a_document_that_names_its_language_is_believed() -> None:
    document = Document(id="d", text="Bob", language="zh")
    given = schema("NER", ["p"])
    assert extract(document, given, engine=ScriptedEngine(lambda _: "{}"), limits=LIMITS).language == "zh"
