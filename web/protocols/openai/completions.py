"""Answers as chat completions, whole or in chunks."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from retrieval.types import Turn
from web.api.provenance import provenance
from web.api.schemas import Answer, Citation
from web.presentation.markdown import code_ranges
from web.protocols.openai.schemas import Message

DONE = b"data: [DONE]\n\n"
_MARKER = re.compile(r"\[(\d+)\]")


def turns_of(messages: Sequence[Message]) -> list[Turn]:
    """Return earlier messages as pairs; unanswered questions are included."""
    turns = list[Turn]()
    for message in messages[:-1]:
        if message.role == "user" and message.text:
            turns.append(Turn(message.text, ""))
        elif message.role == "assistant" and turns:
            turns[-1] = Turn(turns[-1].question, f"{turns[-1].answer}\n{message.text}".strip())
    return turns


@dataclass(frozen=True, slots=True)
class Completion:
    """A completion. `origin`: the base URL of the request, such as https://cairn.example, for links."""

    identity: str
    created: int
    model: str
    origin: str

    def whole(self, answer: Answer) -> dict[str, Any]:
        text = content_of(answer)
        message = {
            "role": "assistant",
            "content": text,
            "refusal": None,
            "annotations": self._annotations(text, answer.citations),
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": _usage(answer),
            **self._grounding(answer),
        }

    def first(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def text(self, text: str) -> bytes:
        return self._chunk({"content": text})

    def last(self, answer: Answer) -> bytes:
        annotations = self._annotations(content_of(answer), answer.citations)
        delta = {"annotations": annotations} if annotations else {}
        return self._chunk(delta, finish_reason="stop", **self._grounding(answer))

    def usage(self, answer: Answer) -> bytes:
        return _data({**self._head("chat.completion.chunk"), "choices": [], "usage": _usage(answer)})

    def _chunk(self, delta: dict[str, Any], *, finish_reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _data({**self._head("chat.completion.chunk"), "choices": [choice], **more})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.identity, "object": kind, "created": self.created, "model": self.model}

    def _grounding(self, answer: Answer) -> dict[str, Any]:
        cited = [self._absolute(citation) for citation in answer.citations]
        return {
            "citations": cited,
            "verdict": answer.verdict,
            "reason": answer.reason,
            "mode": answer.mode,
            "intent": answer.intent,
        }

    def _absolute(self, citation: Citation) -> dict[str, Any]:
        return {**citation.model_dump(), "url": f"{self.origin}{citation.url}"}

    def _annotations(self, text: str, citations: Iterable[Citation]) -> list[dict[str, Any]]:
        """Return one annotation for each [n] in the text outside code, with its character range."""
        code = code_ranges(text)
        by_marker = {citation.marker: citation for citation in citations}
        return [
            {
                "type": "url_citation",
                "url_citation": {
                    "start_index": found.start(),
                    "end_index": found.end(),
                    "title": _title(citation),
                    "url": f"{self.origin}{citation.url}",
                },
            }
            for found in _MARKER.finditer(text)
            if (citation := by_marker.get(int(found[1])))
            and not any(found.start() in block for block in code)
        ]


def _title(citation: Citation) -> str:
    """Return the title, marked if the source is unofficial, as clients show nothing else of it."""
    return citation.title if citation.official else f"{citation.title}, {provenance(citation)}"


def content_of(answer: Answer) -> str:
    """Return the text, or the reason of a refusal, as clients show nothing else."""
    return answer.answer or answer.reason


def error_chunk(data: dict[str, Any]) -> bytes:
    """Return the last chunk of a failed stream; no `[DONE]` follows."""
    return _data(data)


def _usage(answer: Answer) -> dict[str, int]:
    prompted, written = answer.usage.prompt_tokens, answer.usage.completion_tokens
    return {"prompt_tokens": prompted, "completion_tokens": written, "total_tokens": prompted + written}


def _data(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
