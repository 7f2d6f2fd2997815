"""A conversation as a tree: each question below the one that it was asked after; one path is shown."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from retrieval.models import Conversation


class Tree:
    """Ids only, one query for however many messages. Siblings, versions of an answer or other questions in
    the same place, are in the order in which they were asked."""

    def __init__(self, conversation: Conversation) -> None:
        rows = list(conversation.messages.order_by("created_at", "id").values_list("id", "parent_id"))
        self._parents: dict[UUID, UUID | None] = dict(rows)
        self._children: dict[UUID | None, list[UUID]] = defaultdict(list)
        for message, parent in rows:
            self._children[parent].append(message)
        self._order = {message: number for number, (message, _) in enumerate(rows)}
        self._current = conversation.current_id

    @property
    def current(self) -> UUID | None:
        """The last one, if the one that was shown is gone."""
        known = self._current in self._parents
        return self._current if known else max(self._order, key=self._order.__getitem__, default=None)

    @property
    def path(self) -> list[UUID]:
        return self.path_to(self.current)

    def path_to(self, message: UUID | None) -> list[UUID]:
        """Return the path from the first question to the message."""
        found = list[UUID]()
        while message is not None:
            found.append(message)
            message = self._parents[message]
        return found[::-1]

    def siblings(self, message: UUID) -> Sequence[UUID]:
        """The message among them."""
        return self._children[self._parents[message]]

    def latest_below(self, message: UUID) -> UUID:
        """Return the last message asked on the branch through this one."""
        latest, waiting = message, [message]
        while waiting:
            each = waiting.pop()
            latest = max(latest, each, key=self._order.__getitem__)
            waiting += self._children[each]
        return latest
