"""The engine behind somebody else's server: any that speaks OpenAI's completions, vLLM's own in the first place."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from openai import APIConnectionError, APIStatusError, AsyncOpenAI
from openai.types import CompletionChoice
from pydantic import SecretStr

from sluice_schemas.errors import BadInput, Misconfigured, SluiceError, Unavailable
from sluice_worker.engine import adapters
from sluice_worker.engine.adapters import Adapters
from sluice_worker.engine.desk import Desk
from sluice_worker.engine.intake import Intake, Prepared
from sluice_worker.engine.loop import Loop
from sluice_worker.engine.request import Completion, Request, Token

WRONG_CREDENTIALS = (401, 403)
ABSENT = 404


@dataclass(frozen=True, slots=True)
class Server:
    """Where the model is served. `url` ends in /v1. `retries` are tried with growing, jittered delays.

    At most `max_sequences` requests are under way at once.
    """

    url: str
    model: str
    key: SecretStr
    timeout_s: float = 120.0
    retries: int = 4
    max_sequences: int = 256
    max_adapters: int = 4
    adapter_rank: int = 64


class OpenAiEngine:
    """Greedy decoding on a server. Prompts go out as token ids, so that no mark in a text becomes the mark: `folder`
    holds the tokenizer of the served model, weights are not needed.

    vLLM takes grammars; its log-probabilities are then those after masking, and nothing ends a list that repeats
    itself. With any other server only free decoding is possible. A server that does not answer is `Unavailable`: this
    process need not restart for it.
    """

    def __init__(self, folder: Path, server: Server) -> None:
        self._server = server
        self._loop = Loop("openai")
        self._client = AsyncOpenAI(
            base_url=server.url,
            api_key=server.key.get_secret_value(),
            timeout=server.timeout_s,
            max_retries=server.retries,
        )
        try:
            context_tokens, self._takes_grammars = self._loop.run(self._look()).result()
            self._intake = Intake(folder, context_tokens=context_tokens)
        except SluiceError:
            self._loop.close()
            raise
        self.card = self._intake.card
        if not self._takes_grammars:
            self.card = replace(self.card, decoding="free", decodings=frozenset({"free"}))
        self._under_way = asyncio.Semaphore(server.max_sequences)
        self._adapters: Adapters[str] = Adapters(self._unload, limit=server.max_adapters)
        self._desk = Desk(self._intake, self._adapters, self._loop, self._answer)

    def count_tokens(self, text: str) -> int:
        return self._intake.count_tokens(text)

    def submit(self, request: Request) -> "Future[Completion]":
        return self._desk.submit(request)

    def submit_all(self, requests: Sequence[Request]) -> "list[Future[Completion]]":
        return [self.submit(each) for each in requests]

    def load_adapter(self, folder: Path) -> str:
        """The server must see the same path and allow it (vLLM: VLLM_ALLOW_RUNTIME_LORA_UPDATING=1)."""
        name = adapters.check(folder, max_rank=self._server.adapter_rank)
        if not self._adapters.holds(name):
            self._loop.run(self._post("/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})).result()
            self._adapters.add(name, name)
        return name

    def drop_adapter(self, name: str) -> None:
        self._adapters.drop(name)

    def close(self) -> None:
        if not self._desk.is_closed:
            self._desk.close()

    def _unload(self, name: str) -> None:
        if not self._desk.is_closed:
            self._loop.run(self._post("/unload_lora_adapter", {"lora_name": name}))

    async def _look(self) -> tuple[int | None, bool]:
        """The length of the served context where the server tells it, and whether it is vLLM."""
        try:
            served = {each.id: each async for each in self._client.models.list()}
        except (APIStatusError, APIConnectionError) as exc:
            raise self._told(exc) from exc
        if self._server.model not in served:
            raise self._unknown()
        return getattr(served[self._server.model], "max_model_len", None), await self._is_vllm()

    async def _is_vllm(self) -> bool:
        try:
            await self._client.get(
                f"{self._server.url.rstrip('/').removesuffix('/v1')}/version", cast_to=httpx.Response
            )
        except APIStatusError:
            return False
        return True

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        try:
            await self._client.post(path, body=body, cast_to=httpx.Response)
        except (APIStatusError, APIConnectionError) as exc:
            raise Misconfigured(f"The server at {self._server.url} did not take {path}: {_brief(exc)}.") from exc

    async def _answer(self, prepared: Prepared, adapter: str | None) -> Completion:
        try:
            async with self._under_way:
                answer = await self._client.completions.create(
                    model=adapter or self._server.model,
                    prompt=prepared.ids,
                    max_tokens=prepared.max_tokens,
                    temperature=0.0,
                    logprobs=0,
                    extra_body=self._extras(prepared.request),
                )
        except (APIStatusError, APIConnectionError) as exc:
            raise self._told(exc) from exc
        return self._completion(prepared, answer.choices[0])

    def _extras(self, request: Request) -> dict[str, Any] | None:
        if not self._takes_grammars:
            return None
        extras: dict[str, Any] = {
            "return_token_ids": True,
            "stop_token_ids": [self._intake.tokenizer.eos_token_id],
        }
        return extras | ({"structured_outputs": {"grammar": request.grammar}} if request.grammar else {})

    def _completion(self, prepared: Prepared, choice: CompletionChoice) -> Completion:
        is_whole = choice.finish_reason == "stop"
        tokens = self._tokens(choice)
        return Completion("".join(each.text for each in tokens), tokens, is_whole, prepared.prompt_tokens)

    def _tokens(self, choice: CompletionChoice) -> tuple[Token, ...]:
        told = choice.logprobs
        logprobs = [each or 0.0 for each in (told.token_logprobs or [])] if told else []
        ids: list[int] | None = getattr(choice, "token_ids", None)
        if ids is not None:
            kept = ids[:-1] if ids and ids[-1] == self._intake.tokenizer.eos_token_id else ids
            return self._intake.tokens(kept, logprobs)
        pieces = (told.tokens or []) if told else []
        if "".join(pieces) == choice.text and len(pieces) == len(logprobs):
            return tuple(map(Token, pieces, logprobs))
        # A character that took several tokens cannot be told apart: the answer counts as one token.
        return (Token(choice.text, sum(logprobs)),)

    def _told(self, exc: APIStatusError | APIConnectionError) -> SluiceError:
        """The error as ours. The server's own words stay out of it: they may quote the document."""
        if isinstance(exc, APIConnectionError):
            return Unavailable(f"The model server at {self._server.url} does not answer ({_brief(exc)}).")
        if exc.status_code in WRONG_CREDENTIALS:
            return Misconfigured(f"The model server at {self._server.url} refuses the key. Set SLUICE_SERVER_KEY.")
        if exc.status_code == ABSENT:
            return self._unknown()
        if exc.status_code < httpx.codes.INTERNAL_SERVER_ERROR and exc.status_code != httpx.codes.TOO_MANY_REQUESTS:
            return BadInput(f"The model server refused a request ({_brief(exc)}); its log says why.")
        return Unavailable(f"The model server at {self._server.url} failed ({_brief(exc)}), tries included.")

    def _unknown(self) -> Misconfigured:
        return Misconfigured(
            f"The model server at {self._server.url} has no {self._server.model!r}. Set SLUICE_SERVER_MODEL."
        )


def _brief(exc: APIStatusError | APIConnectionError) -> str:
    return f"HTTP {exc.status_code}" if isinstance(exc, APIStatusError) else type(exc).__name__
