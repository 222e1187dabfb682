// The questions that the page asks its server. Paths are relative, so the page also lives under a prefix.

/** The server gave no usable answer. The message is a sentence for the reader; `status` is 0 when nothing answered. */
export class Unanswered extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

async function reason(answer) {
  const body = await answer.json().catch(() => null);
  return typeof body?.detail === "string" ? body.detail : `The knowledge base answered with an error (${answer.status}).`;
}

async function ask(path, signal) {
  let answer;
  try {
    answer = await fetch(path, { signal, headers: { accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unanswered(0, "The knowledge base does not answer. It may be starting, or the network may be down.");
  }
  if (!answer.ok) throw new Unanswered(answer.status, await reason(answer));
  return answer.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Unanswered(answer.status, "The knowledge base gave an answer that this page cannot read.");
  });
}

const entityPath = (id) => `api/entities/${encodeURIComponent(id)}`;

export const health = (signal) => ask("health", signal);
export const search = (words, limit, signal) => ask(`api/search?${new URLSearchParams({ q: words, limit })}`, signal);
export const entity = (id, signal) => ask(entityPath(id), signal);
export const graph = (id, depth, signal) => ask(`${entityPath(id)}/graph?${new URLSearchParams({ depth, limit: 150 })}`, signal);
export const recent = (limit, signal) => ask(`api/events/recent?${new URLSearchParams({ limit })}`, signal);
export const STREAM = "api/events/stream";
