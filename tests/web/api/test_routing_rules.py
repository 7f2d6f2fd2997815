"""A thousand generated rules and questions: no passage reaches an outside model that its rules forbid.

What is forbidden is worked out here a second time, from the generated rules alone.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from llama_index.core.llms import ChatMessage, MockLLM

from cairn.errors import Unavailable
from cairn.inference import registry
from cairn.inference.chat.model import LlamaIndexChatModel
from cairn.inference.chat.prompt_messages import ClearedMessages, PromptMessages
from cairn.inference.chat.text_stream import Channel, TextStream
from cairn.library.models import Document, KnowledgeBase
from cairn.settings.stored.models import RegisteredModel
from cairn.settings.stored.store import forget_snapshot
from retrieval.answering import answer
from retrieval.answering.answerability.model_judge import ModelAnswerability
from retrieval.answering.evidence_budget import EvidenceBudget
from retrieval.answering.protocols import Judgement
from retrieval.conversations.model_routing import EarlierAnswers, RoutedChat
from retrieval.engine import ConfiguredChat
from retrieval.types import Done, Hit, Location, Scores, Turn
from tests.fakes import FakeEmbedder

CASES = 1000
SEED = 25
SUBJECTS = ("leave", "parking", "travel", "meals", "badges", "laptops", "holidays", "training")
pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Recorder:
    """A model that records its prompts."""

    prompts: list[str] = field(default_factory=list)

    def open(self, messages: Sequence[ChatMessage], _max_tokens: int) -> TextStream:
        self.prompts.append("\n".join(str(message.content) for message in messages))
        channel = Channel()
        channel.put("The rule applies [1].")
        channel.end()
        return TextStream(channel)

    def model(self, name: str, *, is_outside: bool) -> LlamaIndexChatModel:
        return LlamaIndexChatModel(name, 4096, MockLLM(), self.open, is_outside=is_outside)


@dataclass
class Rules:
    """The generated rules, in parallel to the database. `default`: whether a missing rule forbids."""

    bases: dict[UUID, str] = field(default_factory=dict)
    homes: dict[UUID, UUID] = field(default_factory=dict)
    forbids: dict[UUID, bool] = field(default_factory=dict)
    parents: dict[UUID, UUID | None] = field(default_factory=dict)
    default: bool = False

    def is_forbidden(self, document: UUID) -> bool:
        rule = self.bases[self.homes[document]]
        if rule == "forbid" or (rule == "default" and self.default):
            return True
        at: UUID | None = document
        while at is not None:
            if self.forbids[at]:
                return True
            at = self.parents[at]
        return False


class World:
    """Eight knowledge bases with thirty documents, some of them embedded in others."""

    def __init__(self, dice: random.Random) -> None:
        self.dice, self.rules = dice, Rules()
        for number in range(8):
            base = KnowledgeBase.objects.create(name=f"Base {number}", slug=f"base-{number}")
            self.rules.bases[base.id] = "default"
        for number in range(30):
            self._add_document(number)
        self.documents = list(self.rules.homes)

    def _add_document(self, number: int) -> None:
        base = self.dice.choice(list(self.rules.bases))
        same = [each for each, home in self.rules.homes.items() if home == base and self._depth(each) < 4]
        parent = self.dice.choice(same) if same and self.dice.random() < 0.4 else None
        row = Document.objects.create(
            knowledge_base_id=base, title=f"Document {number}", source_key=str(number), parent_id=parent
        )
        self.rules.homes[row.id], self.rules.parents[row.id] = base, parent
        self.rules.forbids[row.id] = False

    def _depth(self, document: UUID) -> int:
        parent = self.rules.parents[document]
        return 0 if parent is None else 1 + self._depth(parent)

    def change_rules(self) -> None:
        for base in self.dice.sample(list(self.rules.bases), 3):
            rule = self.dice.choice(("default", "allow", "allow", "forbid"))
            KnowledgeBase.objects.filter(pk=base).update(outside_models=rule)
            self.rules.bases[base] = rule
        for document in self.dice.sample(self.documents, 3):
            forbids = self.dice.random() < 0.15
            Document.objects.filter(pk=document).update(forbids_outside_models=forbids)
            self.rules.forbids[document] = forbids
        self.rules.default = self.dice.random() < 0.2

    def hit(self, document: UUID, subject: str) -> Hit:
        chunk = uuid4()
        return Hit(
            chunk=chunk, document=document, version=document, knowledge_base=self.rules.homes[document],
            title=subject, source_uri="", section=(), page=None, ordinal=self.dice.randrange(1000),
            text=f"The {subject} rule applies to all. {mark(document)}", elements=(),
            scores=Scores(dense=0.9, sparse=0.0, fused=0.9), updated_at=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip


def mark(document: UUID) -> str:
    return f"Mark {document.hex}."


class Agreeing:
    """Lets every question be answered."""

    def judge(self, _question: str, _evidence: Sequence[Hit], _language: object = None) -> Judgement:
        return Judgement(answerable=True, strong=True)


@pytest.fixture
def models(own_models: None) -> Iterator[tuple[Recorder, Recorder]]:
    """The active outside model and the active inside one."""
    outside, inside = Recorder(), Recorder()
    for location in ("outside", "inside"):
        RegisteredModel.objects.create(
            name=location, location=location, base_url="http://127.0.0.1:9/v1", model=location, licence="mit",
            status="active",
        )  # fmt: skip
    forget_snapshot()
    with registry.use(
        chat=outside.model("outside", is_outside=True), inside_chat=inside.model("inside", is_outside=False)
    ):
        yield outside, inside
    forget_snapshot()


def let_inside_answer(*, active: bool) -> None:
    RegisteredModel.objects.filter(name="inside").update(status="active" if active else "retired")
    forget_snapshot()


def run_question(world: World, earlier: EarlierAnswers) -> Any:
    """Answer one generated question as the service does: perhaps rewritten, judged and in several parts."""
    dice = world.dice
    subjects = dice.sample(SUBJECTS, dice.choice((1, 1, 2)))
    question = " And ".join(f"What is the {subject} rule?" for subject in subjects)
    used = dice.sample(world.documents, dice.randint(1, 5))
    chat = RoutedChat(ConfiguredChat(), earlier, frozenset())
    budget = EvidenceBudget(chat, 100, 600)
    judge = ModelAnswerability(Agreeing(), budget) if dice.random() < 0.4 else Agreeing()
    events = answer(
        question,
        search=lambda query: [world.hit(each, query) for each in used],
        chat=chat,
        embedder=FakeEmbedder(),
        locate=lambda _hit, _quote: Location(),
        history=[Turn("What is the first rule?", "It applies [1].")] if earlier.documents else [],
        evidence=budget,
        answerability=judge,
        rewrites=dice.random() < 0.5,
    )
    done = list(events)[-1]
    assert isinstance(done, Done), done
    return done.answer


@pytest.mark.slow
def test_no_passage_reaches_a_forbidden_model(
    models: tuple[Recorder, Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, inside = models
    world = World(random.Random(SEED))
    rules = world.rules
    monkeypatch.setattr("cairn.library.outside_models._is_forbidden_by_default", lambda: rules.default)
    written = {"outside": 0, "inside": 0, "": 0}
    for case in range(CASES):
        world.change_rules()
        if case % 50 == 0:
            let_inside_answer(active=case % 100 == 0)
        past = world.dice.sample(world.documents, world.dice.choice((0, 0, 1, 2)))
        earlier = EarlierAnswers(frozenset(past))
        outside.prompts.clear()
        found = run_question(world, earlier)
        written[found.route.location] += 1
        sent = "\n".join(outside.prompts)
        leaked = [each for each in world.documents if rules.is_forbidden(each) and mark(each) in sent]
        assert leaked == [], f"case {case}"
        assert not (sent and any(map(rules.is_forbidden, past))), f"case {case}: the conversation"
    assert min(written.values()) > CASES / 20, written
    assert inside.prompts


@pytest.mark.parametrize("kind", [list, PromptMessages])
def test_external_model_rejects_uncleared_messages(kind: Any) -> None:
    recorder = Recorder()
    messages = [ChatMessage("Is it so?")]
    with pytest.raises(Unavailable, match="may not read"):
        recorder.model("outside", is_outside=True).stream(kind(messages), max_tokens=9)
    assert recorder.prompts == []
    cleared = ClearedMessages(messages)
    assert "".join(recorder.model("outside", is_outside=True).stream(cleared, max_tokens=9))
