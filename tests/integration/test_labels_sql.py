"""Labels on real databases: what was acknowledged stays, what was not leaves no trace, near texts have one share."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from label_stage import SCHEMA, label, story, writer
from sql_stage import KINDS, NewDatabase, databases

from sluice_schemas.errors import BadInput, Misconfigured, Unavailable
from sluice_schemas.labels.store import LabelStore
from sluice_schemas.schema import Example
from sluice_schemas.sql import database
from sluice_schemas.sql.tables import families, forms, labels, metadata

OTHER = SCHEMA.model_copy(update={"version": 2})


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def new_database(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewDatabase]:
    with databases(kind, tmp_path_factory.mktemp("sql")) as new:
        yield new


@pytest.fixture
def url(new_database: NewDatabase) -> str:
    return new_database()


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = database.connect(url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: sa.Engine) -> LabelStore:
    return LabelStore(engine)


def rows(engine: sa.Engine) -> tuple[int, ...]:
    with engine.connect() as connection:
        tables = (families, forms, labels)
        return tuple(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in tables)


def add_all(store: LabelStore, names: list[str]) -> list[int]:
    with ThreadPoolExecutor(8) as pool:
        return [*pool.map(lambda name: store.add(label(story(name)), schema=SCHEMA).id, names)]


def test_a_label_is_kept_once_and_the_newest_of_a_text_counts(store: LabelStore) -> None:
    first = store.add(label("Anna met Ben."), schema=SCHEMA)
    assert store.add(label("Anna met Ben."), schema=SCHEMA) == (first.__class__(first.id, first.share, is_new=False))
    newer = store.add(label("Anna met Ben.", entities=[{"text": "Ben", "type": "person"}]), schema=SCHEMA)
    again = store.add(label("Anna met Ben."), schema=SCHEMA)
    assert first.id < newer.id < again.id, "a correction that is taken back is a new word"
    for upto, spoken in ((first.id, "Anna"), (newer.id, "Ben"), (again.id, "Anna")):
        (one,) = store.snapshot(upto=upto)
        assert (one.label_id, one.label.entities[0].text, one.share) == (upto, spoken, first.share)
    assert [each.id for each in store.entries()] == [again.id, newer.id, first.id]
    assert store.tallies()[0].labels == 3


def test_each_schema_has_its_own_labels(store: LabelStore) -> None:
    store.add(label("Anna met Ben."), schema=SCHEMA)
    other = store.add(label("Anna met Ben.", schema_ref=OTHER.ref), schema=OTHER)
    assert [each.label.schema_ref for each in store.snapshot()] == [SCHEMA.ref, OTHER.ref]
    assert [each.label_id for each in store.snapshot(OTHER.ref, upto=99)] == [other.id]
    assert (store.count_since(0), store.count_since(0, scope=OTHER.ref), store.count_since(other.id)) == (2, 1, 0)
    assert store.latest_id(SCHEMA.ref) < store.latest_id() == other.id
    assert (store.latest_id("none@1"), store.newest_at("none@1"), store.oldest_at("none@1")) == (0, None, None)
    assert (store.oldest_at() or 0) <= (store.newest_at() or 0)


def test_a_long_snapshot_comes_whole_and_in_order(store: LabelStore) -> None:
    ids = [store.add(label(f"Anna {number} {'x' * (number % 7)}"), schema=SCHEMA).id for number in range(450)]
    assert [each.label_id for each in store.snapshot(upto=ids[-2])] == ids[:-1]


def test_what_does_not_fit_leaves_no_trace(store: LabelStore, engine: sa.Engine) -> None:
    with pytest.raises(BadInput, match=r"entities\[0\]"):
        store.add(label("Anna", entities=[{"text": "Ben", "type": "person"}]), schema=SCHEMA)
    with pytest.raises(BadInput, match="control character"):
        store.add(label("Anna", author="a\x00b"), schema=SCHEMA)
    assert rows(engine) == (0, 0, 0)


def test_near_texts_have_one_share_whoever_brings_them_first(store: LabelStore, engine: sa.Engine) -> None:
    names = [f"family{number}" for number in range(8)]
    texts = [f"{story(name)} {tail}" for name in names for tail in ("end", "stop", "fin", "17", "18")]
    with ThreadPoolExecutor(8) as pool:
        shares = [*pool.map(lambda text: store.add(label(text), schema=SCHEMA).share, texts)]
    assert all(len({*shares[start : start + 5]}) == 1 for start in range(0, 40, 5))
    assert rows(engine) == (8, 32, 40), "numbers alone make no form of their own"


def test_examples_leave_the_judging_side_for_good(store: LabelStore, engine: sa.Engine) -> None:
    judged = next(text for n in range(99) if store.add(label(text := story(f"j{n}")), schema=SCHEMA).share == "test")
    example = Example(input=judged + " and so on", output={})
    taught = SCHEMA.model_copy(update={"version": 3, "examples": (example,)})
    assert store.withhold(taught) == 1
    assert next(each.share for each in store.snapshot() if each.label.document.text == judged) == "train"
    with engine.connect() as connection:
        moved = connection.execute(sa.select(families).where(families.c.reason == "example")).one()
    assert (moved.share, moved.left_share) == ("train", "test")
    assert store.add(label(judged + " and so forth", schema_ref=taught.ref), schema=taught).share == "train"
    assert (LabelStore(engine).withhold(taught), rows(engine)[0] >= 1) == (0, True)


def test_an_example_that_nobody_labelled_is_remembered(store: LabelStore) -> None:
    texts = [story(f"e{number}") for number in range(30)]
    taught = SCHEMA.model_copy(update={"examples": tuple(Example(input=text, output={}) for text in texts)})
    assert {store.add(label(text + " too"), schema=taught).share for text in texts} == {"train"}


def test_threads_and_processes_at_once_lose_nothing(store: LabelStore, url: str) -> None:
    others = [writer(url, name, 25) for name in ("left", "right")]
    mine = add_all(store, [f"mine{number}" for number in range(40)])
    theirs = [int(line) for other in others for line in other.communicate(timeout=60)[0].split()]
    assert len({*mine, *theirs}) == 90
    assert {each.label_id for each in store.snapshot()} == {*mine, *theirs}


def test_nothing_comes_later_under_an_earlier_number(store: LabelStore) -> None:
    seen: list[tuple[int, int]] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            latest = store.latest_id()
            seen.append((latest, sum(1 for _ in store.snapshot(upto=latest))))

    watcher = threading.Thread(target=look)
    watcher.start()
    add_all(store, [str(number) for number in range(120)])
    over.set()
    watcher.join()
    assert len({*seen}) > 5
    for latest, found in {*seen}:
        assert sum(1 for _ in store.snapshot(upto=latest)) == found


def test_what_was_acknowledged_survives_a_kill(url: str) -> None:
    process = writer(url, "killed", 1000)
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(12)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    engine = database.connect(url)
    kept = {each.label_id: each.label.document.text for each in LabelStore(engine).snapshot()}
    engine.dispose()
    assert [kept[number] for number in told] == [story(f"killed{number}") for number in range(12)]


def test_what_was_not_acknowledged_leaves_no_trace(url: str, engine: sa.Engine, store: LabelStore) -> None:
    process = writer(url, "dies", 1, "die")
    assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == -signal.SIGKILL
    assert rows(engine) == (0, 0, 0)
    assert store.add(label(story("dies0")), schema=SCHEMA).is_new


def test_processes_that_open_an_empty_database_at_once_all_find_it_ready(url: str) -> None:
    opened = [writer(url, f"first{number}", 1) for number in range(4)]
    assert sorted(each.communicate(timeout=60)[0].strip() for each in opened) == ["1", "2", "3", "4"]
    engine = database.connect(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_a_database_of_a_newer_release_is_left_alone(url: str, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Misconfigured, match="newer release"):
        database.connect(url)


def test_a_database_that_is_not_to_be_changed_is_not(url: str) -> None:
    with pytest.raises(Misconfigured, match="older release"):
        database.connect(url, migrate=False)
    database.connect(url).dispose()
    database.connect(url, migrate=False).dispose()


def test_a_database_that_goes_away_in_the_middle_keeps_nothing(kind: str, url: str, engine: sa.Engine) -> None:
    if kind == "sqlite":
        pytest.skip("a file does not go away")
    doomed = database.connect(url)

    def end_connection(connection: sa.Connection) -> None:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with engine.begin() as other:
            other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})

    sa.event.listen(doomed, "commit", end_connection, once=True)
    store = LabelStore(doomed)
    with pytest.raises(Unavailable, match="Nothing was written"):
        store.add(label("Anna"), schema=SCHEMA)
    assert rows(engine) == (0, 0, 0)
    assert store.add(label("Anna"), schema=SCHEMA).is_new, "and it comes back by itself"
    doomed.dispose()


def test_a_database_that_another_holds_says_so(kind: str, url: str, engine: sa.Engine) -> None:
    if kind == "postgresql":
        pytest.skip("PostgreSQL holds rows, not files")
    hurried = database.connect(f"{url}?timeout=0.2")
    with engine.begin(), pytest.raises(Unavailable, match="locked"):
        LabelStore(hurried).add(label("Anna"), schema=SCHEMA)
    assert rows(engine) == (0, 0, 0)
    hurried.dispose()


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("postgresql://user:hunter2@127.0.0.1:1/sluice", Unavailable, "does not answer"),  # nobody listens
        ("mysql://user:hunter2@host/sluice", Misconfigured, "must look like"),  # no driver of ours
        ("postgresql://user:hunter2@host:port/sluice", Misconfigured, "must look like"),  # a port that is no number
        ("hunter2", Misconfigured, "must look like"),  # no URL at all
        ("sqlite:////nowhere/at/all.db", Misconfigured, "/nowhere/at"),  # no such folder
    ],
)
def test_a_way_that_leads_nowhere_is_named_without_its_password(url: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as refused:
        database.connect(url)
    assert "hunter2" not in str(refused.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_text("Dear Anna, this is no database. " * 40)
    with pytest.raises(Misconfigured, match="no SQLite database"):
        database.connect(f"sqlite:///{tmp_path / 'letter.db'}")
