"""Messages that are stored, or raised in layers that know no reader: codes with parameters.

To add a message, add a template to `CATALOGUE`, use `CodedMessage("its_code", …)`, and run `make texts`.
From version 1.0.0 on, stored codes never change; the English of a template may. `web.i18n.localize` renders
a message in the reader's language. This module doesn't import Django, since parser processes load it.
"""

import operator
from collections.abc import Mapping
from functools import reduce
from typing import Any, Final, NamedTuple


def gettext_noop(text: str) -> str:
    """Mark a text for translation, as Django's function of this name does; `make texts` collects it."""
    return text


class Plural(NamedTuple):
    """A template that depends on the parameter `count`."""

    one: str
    many: str


def plural(one: str, many: str) -> Plural:
    """Mark a template with a singular and a plural for translation."""
    return Plural(one, many)


Template = str | Plural
_MAX_DEPTH: Final = 12  # messages in messages are two levels each


class Term(str):
    """A parameter that is a name or phrase of Cairn, such as that of a format, and is translated, too."""

    __slots__ = ()


Parameter = Any
"""A str (data, shown as it is), int (formatted by locale), Term, CodedMessage, or list of str ("a, b or c")."""


class CodedMessage(str):
    """A message of the catalogue. As a `str` it is its English text, so that programs get plain text."""

    __slots__ = ("code", "params")

    code: str
    params: dict[str, Parameter]

    def __new__(cls, code: str, /, **params: Parameter) -> "CodedMessage":
        template = CATALOGUE[code]
        if isinstance(template, Plural):
            template = template.one if operator.index(params["count"]) == 1 else template.many
        message = super().__new__(
            cls, template.format(**{name: _english(value) for name, value in params.items()})
        )
        message.code, message.params = code, params
        return message

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_message, (self.code, self.params)


def _restore_message(code: str, params: Mapping[str, Parameter]) -> CodedMessage:
    return CodedMessage(code, **params)


def _english(value: Parameter) -> str:
    if isinstance(value, list):
        return f"{', '.join(value[:-1])} or {value[-1]}" if len(value) > 1 else "".join(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def join(code: str, first: str, *others: str) -> str:
    """Join messages with one of the codes `sentences`, `list` or `both`."""
    return reduce(lambda text, other: CodedMessage(code, first=text, second=other), others, first)


def to_json(value: Any) -> Any:
    """Encode messages, alone or anywhere in JSON data. `text` is for readers that don't know the code."""
    if isinstance(value, CodedMessage):
        return {"message": value.code, "params": to_json(value.params), "text": str(value)}
    if isinstance(value, Term):
        return {"term": str(value)}
    if isinstance(value, Mapping):
        return {name: to_json(each) for name, each in value.items()}
    return [to_json(each) for each in value] if isinstance(value, list | tuple) else value


def from_json(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """Decode what `to_json` has encoded. A message that can't be built becomes its English text.

    Parser processes send messages, and hostile files may control them: what is nested too deeply becomes
    empty, and lone surrogates, which nothing can write, are dropped.
    """
    match value:
        case str():
            return _writable(value)
        case dict() | list() if not depth:
            return ""
        case {"message": str(code), "params": dict(params), "text": str(text)}:
            try:
                return CodedMessage(code, **from_json(params, depth - 1))
            except (KeyError, ValueError, TypeError, IndexError):
                return _writable(text)
        case {"term": str(term)}:
            return Term(_writable(term))
        case dict():
            return {name: from_json(each, depth - 1) for name, each in value.items()}
        case list():
            return [from_json(each, depth - 1) for each in value]
    return value


def _writable(text: str) -> str:
    return text.encode("utf-8", "ignore").decode("utf-8")


def str_from_json(value: Any) -> str:
    """Decode one message or text. Raises ValueError for anything else."""
    decoded = from_json(value)
    if not isinstance(decoded, str):
        raise ValueError("neither a message nor a text")
    return decoded


_ = gettext_noop

CATALOGUE: Final[Mapping[str, Template]] = {
    # joined messages
    "sentences": _("{first} {second}"),
    "list": _("{first}, {second}"),
    "both": _("{first} and {second}"),
    # why a file failed
    "empty_file": _("The file is empty (0 bytes). Check the original and upload it again."),
    "no_text": _("No text was found in the file. Upload a file that contains text."),
    "no_passages": _("No text was found in this file, so it isn’t searchable."),
    "no_language": _(
        "The file contains no readable text, only encoded data or minified code. Upload a readable version."
    ),
    "no_text_besides_front_matter": _(
        "The file contains no text apart from its front matter. Add some and upload it again."
    ),
    "no_text_in_markdown": _("The file contains no text. Add some and upload it again."),
    "no_text_in_sheets": _("No text was found in the visible sheets."),
    "no_text_on_pages": _(
        "No text was found on any page, even with text recognition. If the pages contain text, scan them at a higher quality and upload them again."
    ),
    "no_text_in_image": _(
        "No text was recognised in the image. If it contains text, upload a sharper or larger image."
    ),
    "archive_is_empty": _("The archive contains no files. Create it again and upload it."),
    "unsupported": _(
        "This file is {content}, which Cairn can’t read. Save it in a supported format and upload it again: {formats}."
    ),
    "unsupported_suffix": _(
        "This {suffix} file is {content}, which Cairn can’t read. Save it in a supported format and upload it again: {formats}."
    ),
    "unknown_format": _("of the type {media_type}"),
    "type_mismatch": _(
        "The file name ends in {suffix}, but the content is {content}. Correct the extension, or export the file again, and upload it."
    ),
    "damaged": _(
        "The {kind} is damaged or incomplete. Open it in its own program, save it again and upload the new copy."
    ),
    "damaged_file": _(
        "The file is damaged or incomplete. Open it in its own program, save it again and upload the new copy."
    ),
    "answer_expired": _("This answer expired on {date}."),
    "answer_withdrawn": _("This answer was withdrawn when its knowledge gap was reopened."),
    "protected": _("The {kind} is password-protected. Remove the password and upload it again."),
    "unsafe": _(
        "Cairn didn’t open this file because {why}. Save it again in its own program and upload the new copy."
    ),
    "unsafe_nesting": _("it is nested in more than {limit} archives or emails"),
    "unsafe_entries": _("it is an archive with more than {number} entries"),
    "unsafe_path": _("it contains a path outside the file"),
    "unsafe_link": _("it contains a link to another file"),
    "unsafe_content": _("its content doesn’t match its description"),
    "unsafe_size": _("it would unpack to far more than its size"),
    "unsafe_files_in_all": _("the upload contains more than {number} files"),
    "unsafe_size_in_all": _("the upload would unpack to more than {number} GB"),
    "too_many_characters": _(
        "The file contains more than {limit} characters of text. Split it and upload the parts."
    ),
    "too_many_pieces": _(
        "The file contains more than {limit} lines and sentences. Split it and upload the parts."
    ),
    "too_long_paragraph": _(
        "A paragraph is longer than {limit} characters. Split it and upload the file again."
    ),
    "too_large_part": _("The file is larger than {limit} MB. Split it and upload the parts."),
    "too_large_image": _(
        "The image has {width} by {height} pixels; the limit is {limit} million. Make it smaller and upload it again."
    ),
    "too_much_disk": _(
        "Reading the file takes more than {megabytes} MB of disk space. Split it or save it in a simpler format, then upload it again."
    ),
    "too_many_pages": _("The file has {pages} pages; the limit is {limit}. Split it and upload the parts."),
    "time_limit": _(
        "Reading the file took longer than {seconds} seconds. Split it or save it in a simpler format, then upload it again."
    ),
    "memory_limit": _(
        "Reading the file needed more than {megabytes} MB of memory. Split it or save it in a simpler format, then upload it again."
    ),
    "parser_crashed": _(
        "The parser crashed on this file. Save it again in its own program or in another format, then upload it again."
    ),
    "worker_crashed": _("The worker crashed on every attempt to process this file."),
    "processing_failed": _("The file couldn’t be processed. Retry, or report the problem."),
    "embedding_failed": _("The embedding model didn’t respond. Retry once it’s available."),
    "index_unavailable": _("The vector index didn’t respond. Retry once it’s available."),
    "cancelled": _("Processing was cancelled."),
    "cancelled_retry": _("Processing was cancelled. Retry to process the file."),
    "program_missing": _(
        "{purpose} requires {name}, which isn’t installed on this server. Ask an administrator to install it, or {instead} and upload the result."
    ),
    # warnings of the processing report
    "skipped_images": plural("{count} image was skipped.", "{count} images were skipped."),
    "skipped_charts": plural("{count} chart was skipped.", "{count} charts were skipped."),
    "skipped_objects": plural(
        "{count} embedded object was skipped.", "{count} embedded objects were skipped."
    ),
    "skipped_lines": plural("{count} line was skipped.", "{count} lines were skipped."),
    "skipped_comments": plural("{count} comment was skipped.", "{count} comments were skipped."),
    "skipped_text_boxes": plural("{count} text box was skipped.", "{count} text boxes were skipped."),
    "skipped_entities": plural(
        "{count} entity reference was skipped.", "{count} entity references were skipped."
    ),
    "skipped_events": plural("{count} calendar event was skipped.", "{count} calendar events were skipped."),
    "skipped_delivery_reports": plural(
        "{count} delivery report was skipped.", "{count} delivery reports were skipped."
    ),
    "skipped_external_attachments": plural(
        "{count} external attachment was skipped.", "{count} external attachments were skipped."
    ),
    "skipped_fragments": plural("{count} fragment was skipped.", "{count} fragments were skipped."),
    "skipped_rtf_texts": plural("{count} RTF text was skipped.", "{count} RTF texts were skipped."),
    "skipped_attachments": plural(
        "{count} attachment after the first {most} was skipped.",
        "{count} attachments after the first {most} were skipped.",
    ),
    "skipped_uploader": _("Embedded files were skipped because the uploader’s account was deleted."),
    "skipped_files": plural("{count} more file was skipped.", "{count} more files were skipped."),
    "failed_file": _("{name}: {why}"),
    "failed_files": plural(
        "{count} embedded file couldn’t be processed; see that document.",
        "{count} embedded files couldn’t be processed; see those documents.",
    ),
    "invisible_characters": plural(
        "{count} invisible character was removed. Invisible characters can hide words from readers.",
        "{count} invisible characters were removed. Invisible characters can hide words from readers.",
    ),
    "encoded_data": plural(
        "{count} character of encoded data or minified code was skipped, as it isn’t readable text.",
        "{count} characters of encoded data or minified code were skipped, as they aren’t readable text.",
    ),
    "base64": _("The text was Base64-encoded and has been decoded."),
    "cut_rows": _("The file contains too much text: rows from {row} on were skipped."),
    "cut_sheet": _(
        "The file contains too much text: sheet “{name}” was skipped from row {row} on, and so was everything after it."
    ),
    "spread_sheet": _(
        "Sheet “{name}” was skipped: its cells are spread over {rows} rows and {columns} columns. Delete the stray cells and upload the file again."
    ),
    "hidden_sheets": _("Hidden sheets were skipped: {names}."),
    "hidden_slides": _("Hidden slides were included: {names}."),
    "hidden_cells": _("Sheet “{name}”: {what} included."),
    "hidden_rows": plural("{count} hidden row", "{count} hidden rows"),
    "hidden_columns": plural("{count} hidden column", "{count} hidden columns"),
    "uncomputed_formulas": plural(
        "Sheet “{name}”: {count} formula without a stored result skipped.",
        "Sheet “{name}”: {count} formulas without a stored result skipped.",
    ),
    "cells_with_errors": plural(
        "Sheet “{name}”: {count} cell with an error such as #DIV/0! skipped.",
        "Sheet “{name}”: {count} cells with an error such as #DIV/0! skipped.",
    ),
    "pages_need_ocr": plural(
        "Page {numbers} was skipped: it’s an image, and text recognition (Tesseract) isn’t installed.",
        "Pages {numbers} were skipped: they’re images, and text recognition (Tesseract) isn’t installed.",
    ),
    "pages_out_of_time": plural(
        "Page {numbers} was skipped: it’s an image, and text recognition took too long. Split the file and upload the parts.",
        "Pages {numbers} were skipped: they’re images, and text recognition took too long. Split the file and upload the parts.",
    ),
    "pages_failed_ocr": plural(
        "Page {numbers} was skipped: text recognition failed.",
        "Pages {numbers} were skipped: text recognition failed.",
    ),
    "suspicious": _("{place} looks like an instruction to a language model: “{words}”"),
    "suspicious_more": plural(
        "{count} more passage looks like an instruction to a language model.",
        "{count} more passages look like instructions to a language model.",
    ),
    "place_text": _("A text"),
    "place_text_at": _("A text in {place}"),
    "place_title": _("Its title"),
    "place_property": _("Its {name}"),
    "place_page": _("page {number}"),
    "place_sheet": _("sheet “{name}”"),
    "place_section": _("section “{name}”"),
    # why a file was refused, and what else is stored with a document, an import or a folder
    "file_too_large": _("This file is {size} MB; the limit is {limit} MB."),
    "part_of_container": _(
        "This document is part of an email or archive. Replace the email or archive, or choose another name."
    ),
    "replaced_meanwhile": _(
        "Someone else just replaced this document. Check their version, and upload yours again if it should replace it."
    ),
    "replacing_forbidden": _(
        "A document with this name already exists, and you don’t have permission to replace it. Choose another name."
    ),
    "source_taken": _("Another document already uses this source. Delete it, then retry this one."),
    "file_not_ready": _("“{name}” is still being processed. Ask again when it’s ready, or remove it."),
    "too_many_files": _("A conversation can have up to {limit} files. Remove one first."),
    "too_many_tags": _("A document can have up to {limit} tags."),
    "import_cancelled": _("This import was cancelled."),
    "disk_full": _("The server is out of disk space. Tell your administrator and try again later."),
    "role_required": _("This requires the role “{role}” in this knowledge base."),
    "watch_failed": _("Couldn’t check the folder. See the server log."),
    "watch_empty": _("The folder is empty. Nothing was removed in case a disk is temporarily unavailable."),
    "watch_empty_folders": _(
        "Empty: {folders}. Nothing from there was removed in case a disk is temporarily unavailable. If it’s gone for good, delete the empty folder."
    ),
    "watch_owner": _(
        "The person who set this up is no longer an administrator. Another administrator must save it again."
    ),
    "watch_unreadable": _("Not readable: {files}."),
    "watch_unreadable_more": _("Not readable: {files}; and {count} more."),
    "watch_roots_unset": _("WATCH_ROOTS isn’t set, so no folders can be watched."),
    "watch_path_relative": _("Enter an absolute path, starting with “/”."),
    "watch_path_unknown": _("No such folder in the allowed locations ({allowed})."),
    "source_failed": _("Couldn’t sync the source. See the server log."),
    "source_owner": _(
        "The person who set up this source can’t manage the knowledge base any more. Someone who can must save it again."
    ),
    "source_empty": _(
        "The source lists nothing. Nothing was deleted in case it’s temporarily unavailable. If it’s really empty, delete the source."
    ),
    "source_shrunk": _(
        "{count} of {total} documents are no longer in the source. Nothing was deleted in case it’s temporarily incomplete. If they’re really gone, run “manage.py source sync --full”."
    ),
    "source_stuck": _("The source stopped responding while it was being read."),
    "source_endless": _("The source’s list of files didn’t end within {hours} hours."),
    "source_incomplete": _("The source’s list of files ended too early. Nothing was deleted."),
    "source_secrets_unreadable": _(
        "The stored password can’t be read, because SECRET_KEY changed. Enter it again."
    ),
    "source_secret_again": _("Enter {field} again: it was for a different server."),
    "source_option_invalid": _("“{field}” isn’t valid: {reason}"),
    "source_name_taken": _("This knowledge base already has a source named “{name}”."),
    "source_too_often": _("A source can be synced every {seconds} seconds at most."),
    "source_check_timeout": _("No answer within {seconds} seconds."),
    "source_check_failed": _("Couldn’t test the source. See the server log."),
    "source_unlisted": _("Couldn’t list {folders}. Documents from there were kept."),
    "source_unlisted_more": plural(
        "Couldn’t list {folders} and {count} more folder. Documents from there were kept.",
        "Couldn’t list {folders} and {count} more folders. Documents from there were kept.",
    ),
    "source_item_unstorable": _(
        "The name or path is too long or contains invalid characters. Rename it in the source."
    ),
    "source_item_changed": _("The file changed while it was being read. The next sync reads it again."),
    "source_item_missing": _("The source no longer shows this document to Cairn."),
    "source_item_failed": _("Couldn’t read this file. See the server log."),
    "source_access_pending": _("Who may read this document hasn’t been checked yet."),
    "source_access_restricted": _(
        "A check of permissions found that more people could read this document than the source allows."
    ),
    "source_verification_late": _(
        "The source took too long: {documents} of {planned} documents were checked."
    ),
    "check_interrupted": _("The check was interrupted."),
    "check_failed": _("The check failed; see the server log."),
    "red_team_interrupted": _("The red team run was interrupted."),
    "red_team_failed": _("The red team run failed; see the server log."),
    "red_team_not_ready": _("The planted documents weren’t read in time: is a worker running?"),
    "comparison_interrupted": _("The comparison was interrupted."),
    "comparison_failed": _("The comparison failed; see the server log."),
    "comparison_moved": _("A model’s server has changed since the comparison was started."),
    "model_worse": _(
        "“{candidate}” is significantly worse than the active model “{active}”: {comparisons}. To activate it "
        "nevertheless, give a reason."
    ),
    "model_retire_worse": _(
        "“{candidate}” is significantly worse than “{active}” and could take its place: {comparisons}. To "
        "retire the active model nevertheless, give a reason, or activate another one instead."
    ),
    "comparison_of": _("comparison of {day} with the questions of “{knowledge_base}”"),
    "ab_test_of": _("A/B test that ended on {day}"),
    "comparison_of_deleted": _("comparison of {day} with the questions of a deleted knowledge base"),
    "unknown_model": _("There is no model “{name}”. Available: {names}"),
    # whether the mail server works
    "mail_not_configured": _("No mail server is configured. Set SMTP_HOST and MAIL_FROM."),
    "mail_server_works": _("{server} accepts mail from Cairn."),
    "mail_test_sent": _("{server} accepted a test message to {address}."),
    "mail_unreachable": _("Can’t connect to {server}: {reason}"),
    "mail_timeout": _("{server} didn’t respond within {seconds} seconds."),
    "mail_tls_failed": _("No secure connection to {server}: {reason}"),
    "mail_not_supported": _("{server} doesn’t support this kind of encryption or sign-in: {reason}"),
    "mail_login_refused": _("{server} refused SMTP_USER or SMTP_PASSWORD: {reason}"),
    "mail_invalid": _("The message can’t be sent: {reason}"),
    "mail_refused": _("{server} refused {address}: {reason}"),
    "mail_refused_message": _("{server} refused the message: {reason}"),
    # connections to sources
    "source_away": _("Can’t connect to {server}: {reason}"),
    "source_name_unknown": _("{server} has no address in the network. Check the spelling."),
    "source_address_forbidden": _("Cairn doesn’t connect to {server}: no server may be at this address."),
    "source_interrupted": _("The connection to {server} broke off: {reason}"),
    "source_busy": _("{server} is overloaded or being maintained (HTTP {status})."),
    "source_sign_in_refused": _("{server} refuses this user name or password."),
    "source_redirects": _("{server} redirects to {target}. Enter the final address."),
    "source_answer_invalid": _("{server} gives an answer that Cairn can’t read: {reason}"),
    "source_answer_endless": _("{server} gives an answer that doesn’t end."),
    "source_folder_missing": _("{server} has no folder “{name}”."),
    "website_start_missing": _("{server} has no page at {address}."),
    "source_folder_refused": _("The account isn’t allowed to list “{name}”."),
    "source_folder_failed": _("“{name}” can’t be listed: {reason}"),
    "source_folder_deep": _("“{name}” is nested in more than {limit} folders."),
    "source_reader_failed": _("{name} failed: {reason}"),
    "source_branch_missing": _("{server} has no branch “{name}” of this repository."),
    "source_no_repository": _("{server} has no Git repository at this address, or doesn’t let you read it."),
    "source_item_gone": _("“{name}” is no longer there."),
    "source_item_refused": _("The account isn’t allowed to read “{name}”."),
    "source_item_broken": _("“{name}” can’t be read: {reason}"),
    "source_unencrypted": _(
        "The connection isn’t encrypted. Others in your network can read the password and the documents."
    ),
    "source_unencrypted_refused": _(
        "{server} isn’t in your own network, so the connection must be encrypted."
    ),
    "source_step_connect": _("Connect to the server"),
    "source_step_sign_in": _("Sign in to the server"),
    "source_step_list": _("List the documents"),
    "source_step_read": _("Read a document"),
    "source_step_access_file": _("Read the access file"),
    "source_step_access_lists": _("Read the access lists"),
    "source_no_access_list": _(
        "The server doesn’t show who may read “{name}”. The account needs the right “a” (administer) on it."
    ),
    "source_right_unknown": _("The access list has an entry that Cairn doesn’t understand."),
    "source_group_unknown": _(
        "The access list excludes people, but Cairn doesn’t know who is in “{name}”. List its members in the settings of the source."
    ),
    "source_key_refused": _("{server} refuses this access key."),
    "source_no_access_file": _("This source has no access file. Choose who may read its documents."),
    "source_access_file_invalid": _("The access file “{name}” can’t be read: {reason}"),
    "source_nothing_to_read": _("There are no documents yet."),
    "source_step_access": _("Read permissions"),
    "source_people_changed": _("Users were added or deleted while Cairn was listing them."),
    "source_list_changed": _("What {server} lists changed while Cairn was reading it."),
    "sftp_host_key_new": _(
        "{server} has a key with the fingerprint {fingerprint}. Compare it with that on the server, then enter it in the options."
    ),
    "sftp_host_key_changed": _(
        "{server} has another key than the one you entered: {fingerprint}. Cairn didn’t sign in. Either the server was installed again, or another one answers in its place."
    ),
    "sftp_key_invalid": _("This private key can’t be read, or its password is wrong."),
    "sftp_not_offered": _("{server} lets this account sign in, but doesn’t offer SFTP."),
    "sftp_names_invalid": _("“{name}” has a file whose name isn’t UTF-8, so the folder can’t be listed."),
    "sftp_no_getfacl": _(
        "Can’t read access lists on {server}: the account can’t run getfacl there. Choose modes only if the server has no access lists."
    ),
    "sftp_no_accounts": _("Can’t read the users and groups of {server}."),
    "sftp_permissions_unknown": _("The permissions of “{name}” can’t be read."),
    "website_page_failed": _("{server} answers with HTTP {status}."),
    "website_page_refused": _(
        "{server} doesn’t allow this without signing in, or refuses the header (HTTP {status})."
    ),
    "website_page_elsewhere": _("The page redirects to another address, such as one for signing in."),
    "website_start_moved": _(
        "{address} now redirects to {target}. If that isn’t a page for signing in, edit the source and save it."
    ),
    "website_start_leads_nowhere": _(
        "{address} redirects, but not to a page that Cairn can read. It may redirect to itself, for example to set cookies."
    ),
    "website_page_unread": _(
        "{address} can’t be read yet. Until it can, or for a week, nothing is deleted, since it may link to other pages."
    ),
    "website_too_large": _(
        "The website has more than {limit} pages. The others were left out, and none was deleted."
    ),
    "website_robots_refuse": _("robots.txt doesn’t allow Cairn to read {address}."),
    "website_no_sitemap": _("{server} has no sitemap. Choose to find pages by links."),
    "website_in_sitemap": plural("{count} page in the sitemap.", "{count} pages in the sitemap."),
    "redmine_admin_required": _(
        "The API key isn’t that of an administrator, or what it should read isn’t there."
    ),
    "redmine_roles_unclear": _(
        "Cairn can’t tell which role applies to people who aren’t members of a project."
    ),
    "redmine_role_unclear": _(
        "Cairn can’t tell who sees issues of the tracker “{tracker}” in the project “{project}”: a role may be limited to some trackers. This resolves itself once somebody has only this role in some project."
    ),
    "dokuwiki_superuser_required": _(
        "The account isn’t a superuser of the wiki, or isn’t named in the wiki’s setting “remoteuser”."
    ),
    "dokuwiki_api_missing": _(
        "{server} doesn’t offer the API that Cairn needs. Turn on the wiki’s setting “remote”. The wiki must be DokuWiki 2024-02-06 or later."
    ),
    "dokuwiki_users_unlisted": _("The wiki can’t list its users: its authentication doesn’t support that."),
    "dokuwiki_rule_invalid": _("Cairn can’t read the wiki’s access rule “{name}”."),
    "dokuwiki_rule_unclear": _(
        "The wiki’s access rule for “{name}” differs from the name of a user or group only in upper and lower case."
    ),
    "dokuwiki_name_unclear": _(
        "Cairn can’t tell how the wiki compares the user or group “{name}”. Rename it, or add it in the wiki’s user manager."
    ),
    "dokuwiki_rules_differ": _(
        "For the page “{page}” and the user “{name}”, the wiki decides otherwise than its access rules. A plugin probably changes permissions, which Cairn can’t follow."
    ),
    "mediawiki_api_missing": _(
        "{server} has no MediaWiki API at this address. Enter the address of api.php that the wiki’s page Special:Version shows."
    ),
    "mediawiki_sign_in_needed": _(
        "{server} can only be read by people who sign in. Enter the user name and password of a bot password."
    ),
    "mediawiki_read_refused": _(
        "{server} doesn’t let this account read. One of its user groups needs the right “read”."
    ),
    "mediawiki_rights_unneeded": _(
        "This account can do more than read. A bot password with the grant “Basic rights” alone is enough."
    ),
    "mediawiki_public": _("The wiki can be read without signing in."),
    "mediawiki_private": _(
        "The wiki can only be read by people who sign in. Choose its readers in Cairn accordingly."
    ),
    "mediawiki_namespace_missing": _("The wiki has no namespace “{name}”. It has {names}."),
    "mediawiki_file_needs_account": _(
        "“{name}” can’t be downloaded: a private MediaWiki accepts bot passwords for pages only. For files, enter the name and password of the account itself, or leave files out."
    ),
    "mediawiki_file_elsewhere": _("“{name}” is on another server, {server}, which Cairn doesn’t ask."),
    "source_request_refused": _(
        "{server} refuses to answer “{path}”: HTTP {status}, {reason}. The account may lack a right, or what was configured isn’t there."
    ),
    "source_token_refused": _("{server} refuses to let Cairn sign in: {reason}"),
    "sharepoint_certificate_invalid": _(
        "The certificate can’t be read. Enter the private key without password and the certificate, both as PEM."
    ),
    "sharepoint_certificate_needed": _(
        "Cairn needs a certificate to read the members of SharePoint groups: SharePoint doesn’t show them to apps that use a client secret."
    ),
    "sharepoint_grant_unknown": _("The file is shared with “{name}”, whom Cairn can’t identify."),
    "google_key_invalid": _(
        "The key of the service account can’t be read. Enter the whole content of its JSON file."
    ),
    "google_grant_unknown": _("The file has a permission “{name}”, which Cairn doesn’t know."),
    "confluence_subject_unknown": _(
        "Confluence allows or restricts reading for “{name}”, whom Cairn can’t identify."
    ),
    "confluence_space_missing": _("There is no space “{name}”, or the account can’t see it."),
    "confluence_groups_unlisted": _(
        "Confluence lists no members of groups. Cairn needs an account that can see users and groups."
    ),
    "jira_grant_unknown": _("Jira lets “{name}” see the issue, and Cairn can’t identify who that is."),
    "jira_level_unknown": _("Jira Data Center doesn’t show apps who is in the security level “{name}”."),
    "jira_level_hidden": _("Jira hides the security levels of issues in “{project}” from this account."),
    "jira_project_team_managed": _("Jira doesn’t show apps who may see “{name}”, a team-managed project."),
    "jira_project_missing": _("There is no project “{name}”, or the account can’t see it."),
    "jira_groups_unlisted": _(
        "Jira lists no members of groups. Cairn needs the account of a Jira administrator."
    ),
    "source_token_unsendable": _("The token for {server} has characters that no token has. Copy it again."),
    "source_token_invalid": _("{server} doesn’t accept the token: it is wrong, revoked or expired."),
    "gitlab_scope_missing": _("The token lacks the scope “read_api”. Create a new one with it."),
    "source_token_expires": _("The token expires on {day}. Enter a new one before then."),
    "gitlab_token_writes": _(
        "The token may also change things in GitLab. Cairn only needs the scope “read_api”."
    ),
    "github_visibility_unknown": _("Cairn doesn’t understand who may see “{repository}” in GitHub."),
    "github_people_refused": _(
        "GitHub doesn’t show this token who may see “{repository}”. Its account must be allowed to write there. {reason}"
    ),
    "github_sign_on_needed": _(
        "GitHub leaves out organizations with single sign-on. Authorize the token for them on its settings page."
    ),
    "github_repository_missing": _("There is no repository “{name}”, or the token can’t see it."),
    "github_organization_missing": _("There is no organization “{name}”, or the token can’t see it."),
    "github_repositories_missing": _("The account of the token has no repositories."),
    "github_people_unlisted": _("GitHub lists no people who may see the repositories."),
    "github_token_writes": _(
        "The token is a classic one, which may also change things. Prefer a fine-grained token that only reads."
    ),
    "gitlab_project_missing": _("There is no project “{name}”, or the account can’t see it."),
    "gitlab_projects_missing": _("The account of the token isn’t a member of any project."),
    "gitlab_members_incomplete": _("GitLab doesn’t list all members of “{project}”."),
    "gitlab_role_unknown": _("A member of “{project}” has a role that Cairn doesn’t know ({role})."),
    "gitlab_visibility_unknown": _("Cairn doesn’t understand who may see “{project}” in GitLab."),
    "gitlab_internal_unlisted": _(
        "All users of GitLab may see “{project}”. GitLab lists them only for the token of an administrator."
    ),
    "gitlab_classified": _("An external service decides who may see “{project}” in GitLab."),
    "gitlab_author_banned": _("GitLab hides what a banned user wrote from everyone but administrators."),
    "gitlab_share_expired": _("“{project}” is shared with a group, and the share has just expired."),
    "gitlab_people_unlisted": _("GitLab lists no active members of the projects."),
    "gitlab_people_partly": _(
        "The token isn’t an administrator’s. GitLab only shows Cairn email addresses that are public, and only "
        "managers can read what all users of GitLab may see."
    ),
    "source_step_token": _("Check the token"),
    "slack_token_invalid": _(
        "Slack doesn’t accept the token ({error}). Copy the “Bot User OAuth Token” from the app’s page “OAuth & Permissions”."
    ),
    "slack_token_revoked": _(
        "Slack no longer accepts the token ({error}). Install the app into the workspace again, and enter the new token."
    ),
    "slack_scopes_missing": _(
        "The app lacks these permissions: {scopes}. Add them to its bot token scopes under “OAuth & Permissions”, and install it into the workspace again."
    ),
    "slack_channel_refused": _(
        "The app isn’t in the channel, or the channel is gone ({error}). Invite the app there with /invite."
    ),
    "slack_refused": _("Slack refuses to answer “{method}”: {error}."),
    "slack_channel_missing": _("There is no channel “{name}”, or the app isn’t in it."),
    "slack_channels_missing": _("The app isn’t in any of the channels. Invite it there with /invite."),
    "slack_people_unlisted": _("Slack lists no active members of the workspace."),
    "slack_step_scopes": _("Check the permissions of the app"),
    # why somebody may not read a document whose source decides
    "source_denies": _("The source denies access to “{name}”, and this person is one of them."),
    "source_may_deny": _(
        "The source denies access to “{name}”. Cairn doesn’t know whether this person is one of them."
    ),
    "source_allows_others": _("The source only lets {names} read it, and this person isn’t one of them."),
    "source_allows_many": plural(
        "The source only lets “{name}” and {count} other read it, and this person isn’t one of them.",
        "The source only lets “{name}” and {count} others read it, and this person isn’t one of them.",
    ),
    "source_allows_nobody": _("The source lets nobody read it."),
    "smb_encryption_missing": _(
        "{server} doesn’t support encryption (SMB 3). You can turn it off for this source."
    ),
    "smb_certificate_invalid": _("The certificate isn’t in PEM format."),
    "smb_permissions_refused": _("The account isn’t allowed to read the permissions of “{name}”."),
    "smb_share_permissions_refused": _(
        "The account isn’t allowed to read the permissions of the share. Use an administrator’s account, or choose “everyone” if the share restricts nobody."
    ),
    "smb_item_replaced": _(
        "“{name}” was replaced or moved. The next sync of the contents reads its permissions."
    ),
    "smb_item_locked": _("“{name}” is in use by another program."),
    "smb_step_directory": _("Read people and groups"),
    # errors with parameters
    "watch_name_taken": _("This knowledge base already watches a folder named “{name}”."),
    "group_admin_required": _("Only administrators and managers of the group “{group}” can give it access."),
    "slug_invalid": _("“{slug}” isn’t a valid slug. Use lower-case letters, digits and hyphens."),
    "slug_taken": _(
        "The slug “{slug}” belongs to another knowledge base or assistant, or to one that was deleted. Slugs "
        "can’t be reused: choose another."
    ),
    "too_many_uploads": _("{most} of your uploads aren’t finished. Finish or cancel one of them first."),
    "upload_part_too_large": _("A part of an upload can have up to {most} MB."),
    "upload_part_too_small": _("Each part of an upload except the last must have at least {least} kB."),
    "upload_too_long": _("This part exceeds the announced file size of {size} bytes."),
    "index_being_built": _(
        "An index with {model} is being built or is waiting to be activated. Cancel it first."
    ),
    "embedding_class_refused": _(
        "Only EMBEDDING_MODEL can name a class. Set it to {model} and restart Cairn."
    ),
    "index_worse": _("The new index finds less than the active one: {measures}."),
    "assistant_gone": _(
        "The assistant “{name}” is no longer available to you, so this conversation can’t continue. Start a new one."
    ),
    "usage_rules_limit": _("There can be up to {most} rules. Delete one first."),
    "usage_rule_name_taken": _("A rule named “{name}” already exists."),
    "usage_phrase_invalid": _(
        "“{phrase}” isn’t a phrase. It needs a letter or digit, and “*” can only follow the last letter of a word."
    ),
    "usage_rule_fails": plural(
        "The rule can’t be switched on: an example comes out wrong: {examples}",
        "The rule can’t be switched on: {count} examples come out wrong, such as: {examples}",
    ),
    "no_such_subject": _("“{text}” isn’t a user or group."),
    "username_taken": _("A user named “{username}” already exists."),
    "username_confusable": _("“{username}” looks too similar to another user name. Choose a different one."),
    "display_name_parentheses": _("A display name can’t contain parentheses."),
    "display_name_too_long": _("A display name can have up to {limit} characters."),
    "username_character": _("User names can’t contain the character {code}."),
    "usernames_exhausted": _("Too many users are named “{name}”."),
    "import_too_large": _("The file is larger than {limit} MB. Split it."),
    "import_too_many": _("The file has more than {limit} users. Split it."),
    "import_not_utf8": _("Line {line} isn’t text in UTF-8. Save the file as “CSV UTF-8”."),
    "import_unreadable": _("Line {line} can’t be read: {reason}"),
    "import_unknown_column": _(
        "The column “{name}” is unknown or there twice. Columns are username, display_name, email and groups."
    ),
    "import_no_username": _("The first line must name the columns, and one must be “username”."),
    "import_more_cells": _("This line has more cells than the first one."),
    "import_formula": _("“{text}” looks like a spreadsheet formula."),
    "import_nameless": _("The user name is missing."),
    "import_duplicate": _("Line {line} has the same or a similar user name."),
    "import_unknown_group": _("There is no group “{name}” that is managed here."),
    "group_name_taken": _("A group named “{name}” already exists."),
    "managed_elsewhere": _("“{group}” is managed in a directory. Change it there."),
    "viewing_as": _("You’re viewing Cairn as {username} (read-only)."),
    "not_in_group": _("You signed in with {name}, but you aren’t in a group that has access to Cairn."),
    "sign_in_unreachable": _("Cairn couldn’t reach the provider."),
    "sign_in_certificate": _("Cairn doesn’t trust the TLS certificate of the provider."),
    "sign_in_http_status": _("The provider answered a request by Cairn with status {status}."),
    "sign_in_secret": _(
        "The provider gave Cairn no token: check the client ID, the secret and the redirect address."
    ),
    "sign_in_issuer": _("The provider’s issuer isn’t the one configured in Cairn."),
    "sign_in_plain_endpoint": _("The provider names an endpoint without https, which isn’t secure."),
    "sign_in_audience": _(
        "The provider’s response was for another application: check the client ID or the entity ID."
    ),
    "sign_in_signature": _(
        "The signature of the provider’s response isn’t valid: check its certificate or keys."
    ),
    "sign_in_time": _(
        "The provider’s response had expired or wasn’t valid yet: check the clocks of both servers."
    ),
    "sign_in_invalid": _("The provider’s response wasn’t valid, or lacked something that Cairn needs."),
    "sign_in_not_begun": _("The sign-in wasn’t started in this browser, took too long or was repeated."),
    "sign_in_declined": _("The provider refused, or the person cancelled there."),
    "sign_in_group": _("The person isn’t in a group that has access to Cairn."),
    "sign_in_disabled": _("The person’s account is disabled in Cairn."),
    "metadata_too_long": _("May have {limit} characters at most, written as JSON."),
    "limit_reached": _("You’ve reached your limit of {limit}. Try again {when}."),
    "questions_per_minute": _("{most} questions per minute"),
    "searches_per_minute": _("{most} searches per minute"),
    "uploads_per_minute": _("{most} uploads per minute"),
    "questions_per_day": _("{most} questions per day"),
    "model_tokens_per_day": _("{most} model tokens per day"),
    "uploads_per_day": _("{most} uploads per day"),
    "uploaded_mb_per_day": _("{most} uploaded MB per day"),
    "streams_at_once": _("You can run up to {most} questions at once. Wait for one to finish, or stop it."),
    "followed_at_once": _(
        "You can follow up to {most} live updates at once. Close a page you no longer need."
    ),
}
"""The template of each code."""

TERMS: Final = (_("reader"), _("editor"), _("manager"))
"""Values of enums that are used as `Term`."""
