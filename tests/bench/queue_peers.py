"""Against what a user would write, on the same documents and weights: `PYTHONPATH=tests python -m bench.queue_peers`.

A plain Celery task around Transformers (prefork, one document at a time, the schema split as OneKE's README does), and
a pool of threads that calls a vLLM server over HTTP with whole schemas and no grammar.
"""

import importlib.util
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx
from bench import queue_report, workload
from bench.queue_documents import prompts
from bench.queue_stage import SLUICE, Service, awake, pause, redis_server, resting, seconds, started, until_quickly
from bench.queue_workers import PLAIN_TASK, plain_app
from sluice_processes import Running

from sluice_schemas.document import Document
from sluice_worker.engine import model_folder
from sluice_worker.process.redis_server import free_port
from sluice_worker.settings import Settings

MODEL = "sluice-tiny"
ANSWER_TOKENS = 320
"""What the shipped model's card says; all four get it."""
CALLS: int = Settings.model_fields["threads"].default
"""HTTP calls at once: as many as a worker has threads."""
CALL_S = 120.0

Given = Sequence[tuple[Document, str]]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to have documents answered: what does it, how they are handed in and waited for, how many requests to a
    model the answers took."""

    name: str
    running: Running
    answer: Callable[[Given], Sequence[Any]]
    requests: Callable[[Sequence[Any]], int]

    def documents_per_s(self, given: Given) -> float:
        with awake(self.running):
            return len(given) / seconds(lambda: self.answer(given))

    def requests_per_document(self, given: Given) -> float:
        with awake(self.running):
            return self.requests(self.answer(given)) / len(given)


PAIRS = {
    "transformers_to_celery": ("sluice_transformers", "plain_celery"),
    "vllm_to_celery": ("sluice_vllm", "plain_celery"),
    "vllm_to_http": ("sluice_vllm", "http_vllm"),
    "transformers_to_http": ("sluice_transformers", "http_vllm"),
}
NAMES = {
    "plain_celery": "Celery task, Transformers",
    "sluice_transformers": "Sluice, Transformers",
    "http_vllm": "HTTP pool, vLLM server",
    "sluice_vllm": "Sluice, vLLM",
}


def measure(*, documents: int = 24, repeats: int = 5, with_vllm: bool = True) -> dict[str, Any]:
    """Documents/s of each way, one after the other in each round, and ratios: medians over the rounds."""
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as name,
        redis_server(Path(name)) as url,
        ExitStack() as on,
    ):
        ways = [on.enter_context(way) for way in _ways(Path(name), url, with_vllm=with_vllm)]
        warm_up = workload.documents(documents, mark=0)
        requests = {way.name: way.requests_per_document(warm_up) for way in ways}
        rounds = [_round(ways, workload.documents(documents, mark=i + 1)) for i in range(repeats)]
    medians = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    return {"documents": documents, "repeats": repeats, "requests_per_document": requests, **medians}


def _ways(folder: Path, url: Callable[[int], str], *, with_vllm: bool) -> Iterator[AbstractContextManager[Way]]:
    yield _celery(folder, url(0))
    yield _sluice(folder, url(1), "transformers")
    if with_vllm:
        yield _http(folder)
        yield _sluice(folder, url(2), "vllm")


def _round(ways: Sequence[Way], given: Given) -> dict[str, float]:
    rates = {way.name: way.documents_per_s(given) for way in ways}
    return rates | {name: rates[a] / rates[b] for name, (a, b) in PAIRS.items() if a in rates and b in rates}


@contextmanager
def _sluice(folder: Path, url: str, engine: str) -> Iterator[Way]:
    service = Service(url)
    settings = {"SLUICE_ENGINE": engine, "SLUICE_MODEL": MODEL, "SLUICE_REDIS_URL": url}
    with resting(folder, engine, *SLUICE, **settings) as running:
        yield Way(f"sluice_{engine}", running, service.answer, service.requests)


@contextmanager
def _celery(folder: Path, url: str) -> Iterator[Way]:
    app = plain_app(url)

    def answer(given: Given) -> list[int]:
        sent = [app.send_task(PLAIN_TASK, (each.text, ref, ANSWER_TOKENS)) for each, ref in given]
        return [result.get(timeout=CALL_S) for result in sent]

    with resting(folder, "plain", sys.executable, "-m", "bench.queue_workers", "plain", url) as running:
        yield Way("plain_celery", running, answer, sum)


@contextmanager
def _http(folder: Path) -> Iterator[Way]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    model = str(model_folder.resolve(MODEL))
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    command += ["--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--enforce-eager", "--generation-config", "vllm"]
    with started(folder, "server", *command, VLLM_CPU_KVCACHE_SPACE="1") as running:
        until_quickly(lambda: running.process.poll() is not None or _is_healthy(address))
        with httpx.Client(base_url=address, timeout=CALL_S) as client, ThreadPoolExecutor(CALLS) as pool:
            pause(running)
            yield Way("http_vllm", running, lambda given: [*pool.map(lambda each: _asked(client, *each), given)], len)


def _asked(client: httpx.Client, document: Document, ref: str) -> list[str]:
    (prompt,) = prompts(document.text, ref, is_split=False)
    asked = {"model": MODEL, "prompt": prompt, "max_tokens": ANSWER_TOKENS, "temperature": 0.0}
    answer = client.post("/v1/completions", json=asked).raise_for_status().json()
    return [choice["text"] for choice in answer["choices"]]


def _is_healthy(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").is_success
    except httpx.TransportError:
        return False


@click.command()
@click.option("--documents", type=click.IntRange(2), default=24, show_default=True, help="For each way, a round.")
@click.option("--repeat", type=click.IntRange(1), default=5, show_default=True, help="Medians are taken over these.")
@click.option("--json", "target", type=click.Path(path_type=Path), default=queue_report.TARGET, show_default=True)
@click.option("--with-vllm/--without-vllm", default=importlib.util.find_spec("vllm") is not None, help="If installed.")
def main(documents: int, repeat: int, target: Path, with_vllm: bool) -> None:
    """Measure Sluice against a plain Celery task and, with vLLM, against HTTP calls."""
    found = measure(documents=documents, repeats=repeat, with_vllm=with_vllm)
    queue_report.merge(target, "c", found)
    asked = found["requests_per_document"]
    rows = [
        (title, f"{found[name]:.1f}", *_times(found, name), f"{asked[name]:.1f}", f"{asked[name] * found[name]:.0f}")
        for name, title in NAMES.items()
        if name in found
    ]
    heads = ("", "documents/s", "x Celery", "x HTTP", "requests", "a second")
    queue_report.show(
        queue_report.table("c. Against what a user would write: same documents, same weights", heads, rows)
    )


def _times(found: dict[str, Any], name: str) -> Iterator[str]:
    for peer in ("plain_celery", "http_vllm"):
        ratio = next((key for key, pair in PAIRS.items() if pair == (name, peer)), None)
        yield f"{found[ratio]:.1f}" if ratio in found else "-"


if __name__ == "__main__":
    main()
