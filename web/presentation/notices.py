"""Current text and link of a notice for its recipient."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from cairn.access.scope import Principal
from retrieval.gaps.models import Notice, NoticeKind
from retrieval.gaps.notices import find_answering_document, is_still_visible
from retrieval.gaps.selectors import annotate_gaps, gaps_for
from retrieval.models import ABTest, ABTestState


def text_of(notice: Notice, principal: Principal) -> str:
    """Return the text, without names that the principal may no longer see."""
    if notice.kind == NoticeKind.ANSWERED:
        return _describe_answered(notice, principal)
    if notice.ab_test is not None:
        return _describe_ab_test(notice.ab_test, principal)
    return _of_owner(notice, _title(notice, principal))


def _describe_answered(notice: Notice, principal: Principal) -> str:
    document = find_answering_document(notice, principal)
    if document is None:
        return _("Your question was answered, but you no longer have access to the answer.")
    base = document.knowledge_base
    if base.official:
        text = _("Your question can now be answered from “%(base)s”.")
    else:
        text = _("Your question can now be answered from “%(base)s” (unofficial).")
    return text % {"base": base.name}


def _describe_ab_test(test: ABTest, principal: Principal) -> str:
    if not principal.acts_as_admin:
        return _("An A/B test has ended, but you’re no longer an administrator.")
    texts = {
        ABTestState.BETTER: _(
            "A/B test: %(name)s is significantly better than %(active)s. Decide whether to activate it."
        ),
        ABTestState.WORSE: _(
            "A/B test stopped: %(name)s is significantly worse than %(active)s, which answers everyone again."
        ),
        ABTestState.NO_DIFFERENCE: _(
            "A/B test ended: %(name)s and %(active)s don’t differ significantly. %(active)s answers everyone."
        ),
        ABTestState.FAILING: _(
            "A/B test stopped: %(name)s couldn’t answer several times in a row. %(active)s answers everyone."
        ),
        ABTestState.CHANGED: _("A/B test stopped: %(name)s or the active model has been changed."),
        ABTestState.STOPPED: _("An administrator has stopped the A/B test of %(name)s."),
    }
    names = {"name": test.candidate.name, "active": test.active_model}
    return texts[ABTestState(test.state)] % names if test.state in texts else ""


def _title(notice: Notice, principal: Principal) -> str:
    row: Any = annotate_gaps(gaps_for(principal).filter(notices=notice), principal).first()
    return row.title if row else ""


def _of_owner(notice: Notice, title: str) -> str:
    if not title:
        return _("You no longer have access to a knowledge gap assigned to you.")
    texts = {
        NoticeKind.ASSIGNED: _("You’ve been assigned the knowledge gap “%(title)s”."),
        NoticeKind.SUGGESTED: _("New documents may answer “%(title)s”. Please check."),
        NoticeKind.EXPIRING: _(
            "Your verified answer to “%(title)s” expires within a week. Renew it if it’s still correct."
        ),
        NoticeKind.EXPIRED: _("Your verified answer to “%(title)s” has expired and is no longer used."),
    }
    return texts[NoticeKind(notice.kind)] % {"title": title}


def url_of(notice: Notice, principal: Principal) -> str | None:
    """Return a link to ask the question again, or to the gap; None if no longer accessible."""
    if not is_still_visible(notice, principal):
        return None
    if notice.ab_test is not None:
        return reverse("pages:console-model", args=[notice.ab_test.candidate.name])
    if notice.kind != NoticeKind.ANSWERED:
        return reverse("pages:gap", args=[notice.gap_id])
    again = f"?again={notice.message_id}" if notice.message_id else ""
    return f"{reverse('pages:chat')}{again}"
