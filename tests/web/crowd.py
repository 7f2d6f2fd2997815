"""An organisation with 10,000 users, 500 groups and 2,000 knowledge bases, and the pages that show it."""

from dataclasses import dataclass

from cairn.access.models import Grant, Role
from cairn.accounts.confusable_names import name_skeleton
from cairn.accounts.models import ApiKey, Group, User
from cairn.library.models import KnowledgeBase
from cairn.limits.models import Limit

USERS, GROUPS, BASES = 10_000, 500, 2_000
PAGES = (
    "/admin", "/admin/knowledge-bases", "/admin/knowledge-bases/base-1", "/admin/documents",
    "/admin/ingestion",
    "/admin/evaluation", "/admin/evaluation/knowledge-bases/base-1", "/admin/evaluation/gold-questions/new",
    "/admin/gaps", "/admin/playground", "/admin/models", "/admin/users", "/admin/users?page=200",
    "/admin/users?q=99", "/admin/users/{user}", "/admin/groups", "/admin/groups/{group}", "/admin/keys",
    "/admin/limits", "/admin/access-checks", "/admin/audit", "/admin/components", "/account",
    "/choices/grantees?q=9", "/choices/knowledge-bases?q=9", "/choices/limits?q=9",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Crowd:
    user: User
    group: Group

    def path(self, template: str) -> str:
        """Return the path of a page in PAGES."""
        return template.format(user=self.user.id, group=self.group.id)


def create_crowd() -> Crowd:
    names = [f"user-{n}" for n in range(USERS)]
    users = User.objects.bulk_create(User(username=name, name_skeleton=name_skeleton(name)) for name in names)
    groups = Group.objects.bulk_create(Group(name=f"Group {n}") for n in range(GROUPS))
    Group.members.through.objects.bulk_create(
        Group.members.through(group=groups[(n + k * 7) % GROUPS], user=user)
        for n, user in enumerate(users)
        for k in range(5)
    )
    bases = KnowledgeBase.objects.bulk_create(
        KnowledgeBase(name=f"Base {n}", slug=f"base-{n}") for n in range(BASES)
    )
    Grant.objects.bulk_create(
        Grant(knowledge_base=base, group=groups[(n + k) % GROUPS], role=Role.READER)
        for n, base in enumerate(bases)
        for k in range(3)
    )
    ApiKey.objects.bulk_create(
        ApiKey(user=user, label="key", prefix="cairn_0", digest=str(n), scopes=["search"])
        for n, user in enumerate(users[:5000])
    )
    Limit.objects.bulk_create(Limit(user=user, values={"questions_per_day": 5}) for user in users[:1000])
    return Crowd(users[0], groups[0])
