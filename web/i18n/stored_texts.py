"""English texts that are stored or sent to programs before a page shows them, for translation.

`{blanks}` are placeholders. The texts are built in ingestion and retrieval, which do not know about pages.
"""

from typing import Final

from django.utils.translation import gettext_noop as _

STORED: Final[tuple[str, ...]] = (
    _("page {number}"),
    _("slide {number}"),
    _("row {numbers}"),
    _("rows {numbers}"),
    _("Reader"),
    _("Editor"),
    _("Manager"),
    _("Public"),
    _("Internal"),
    _("Confidential"),
    _("user"),
    _("group"),
    _("The file is empty (0 bytes). Check the original and upload it again."),
    _("No text was found in the file. Upload a file that contains text."),
    _(
        "This file is {content}, which Cairn can’t read. Save it in a supported format and upload it again: {formats}."
    ),
    _(
        "This {suffix} file is {content}, which Cairn can’t read. Save it in a supported format and upload it again: {formats}."
    ),
    _(
        "The file name ends in {suffix}, but the content is {content}. Correct the extension, or export the file again, and upload it."
    ),
    _(
        "The {kind} is damaged or incomplete. Open it in its own program, save it again and upload the new copy."
    ),
    _("The {kind} is password-protected. Remove the password and upload it again."),
    _("Cairn didn’t open this file because {why}. Save it again in its own program and upload the new copy."),
    _("it is nested in more than {limit} archives or emails"),
    _("The file contains more than {limit} characters of text. Split it and upload the parts."),
    _("The file contains more than {limit} lines and sentences. Split it and upload the parts."),
    _("A paragraph is longer than {limit} characters. Split it and upload the file again."),
    _("The file is larger than {limit} MB. Split it and upload the parts."),
    _("The file has {pages} pages; the limit is {limit}. Split it and upload the parts."),
    _(
        "Reading the file took longer than {seconds} seconds. Split it or save it in a simpler format, then upload it again."
    ),
    _(
        "Reading the file needed more than {megabytes} MB of memory. Split it or save it in a simpler format, then upload it again."
    ),
    _(
        "The parser crashed on this file. Save it again in its own program or in another format, then upload it again."
    ),
    _("Processing was cancelled."),
    _(
        "No text was found on any page, even with text recognition. If the pages contain text, scan them at a higher quality and upload them again."
    ),
    _("No text was recognised in the image. If it contains text, upload a sharper or larger image."),
    _("No text was found in this file, so it isn’t searchable."),
    _(
        "{purpose} requires {name}, which isn’t installed on this server. Ask an administrator to install it, or {instead} and upload the result."
    ),
    _("The archive contains no files. Create it again and upload it."),
    _("The file couldn’t be processed. Retry, or report the problem."),
    _("The embedding model didn’t respond. Retry once it’s available."),
    _("The vector index didn’t respond. Retry once it’s available."),
    _("Processing was cancelled. Retry to process the file."),
    _("The worker crashed on every attempt to process this file."),
    _("The worker stopped."),
    _("Embedded files were skipped because the uploader’s account was deleted."),
    _("{more} more files were skipped."),
    _("The text was Base64-encoded and has been decoded."),
    _("The file contains too much text: rows from {row} on were skipped."),
    _("Hidden sheets were skipped: {names}."),
    _("Hidden slides were included: {names}."),
    _("Sheet “{name}”: {what} included."),
    _("{beyond} attachments after the first {most} were skipped."),
    _("1 invisible character was removed. Invisible characters can hide words from readers."),
    _("{count} invisible characters were removed. Invisible characters can hide words from readers."),
    _("{place} looks like an instruction to a language model: “{words}”"),
    _("A text in {place}"),
    _("A text"),
    _("{more} more passages look like instructions to a language model."),
    _("Page {number} was skipped: it’s an image, and text recognition (Tesseract) isn’t installed."),
    _("Pages {numbers} were skipped: they’re images, and text recognition (Tesseract) isn’t installed."),
    _("Page {number} was skipped: text recognition failed."),
    _("Pages {numbers} were skipped: text recognition failed."),
    _("{failed} embedded files couldn’t be processed; see those documents."),
    _("This answer quotes a document that was changed or deleted, or that you can no longer access."),
    _("This answer was removed because a document it quoted was deleted."),
    _("Enter a title."),
    _("Couldn’t check the folder. See the server log."),
    _("The folder is empty. Nothing was removed in case a disk is temporarily unavailable."),
    _(
        "Empty: {folders}. Nothing from there was removed in case a disk is temporarily unavailable. If it’s gone for good, delete the empty folder."
    ),
    _("The person who set this up is no longer an administrator. Another administrator must save it again."),
    _("WATCH_ROOTS isn’t set, so no folders can be watched."),
    _("Enter an absolute path, starting with “/”."),
    _("No such folder in the allowed locations ({allowed})."),
    _("You can’t watch a whole file system. Choose a folder in it."),
    _("This knowledge base already watches a folder named “{name}”."),
    _("This folder is being checked."),
    _("This folder is already being watched."),
    _("This requires the role “{role}” in this knowledge base."),
    _("Only administrators can do this."),
    _("Only administrators can give access to everyone."),
    _("Only administrators and managers of the group “{group}” can give it access."),
    _("One of the managers doesn’t exist."),
    _("Only administrators can rename an official knowledge base."),
    _("Only administrators can name someone else as the verifier of an answer."),
    _("The owner isn’t an active user."),
    _("“{text}” isn’t a user or group."),
    _("A user named “{username}” already exists."),
    _("“{username}” looks too similar to another user name. Choose a different one."),
    _("User names can’t start or end with a dot."),
    _("User names can’t contain the character {code}."),
    _("User names can’t mix scripts, such as Latin and Cyrillic letters."),
    _("There must be at least one active administrator."),
    _("A group named “{name}” already exists."),
    _(
        "You don’t have permission to create knowledge bases. Ask an administrator to create one or to give one of your groups permission."
    ),
    _("Only administrators can choose a slug."),
    _("“{group}” is managed in a directory. Change it there."),
    _("One of the groups doesn’t exist."),
    _("One of the members doesn’t exist."),
    _("The directory isn’t responding. Try again in a moment. Local accounts still work."),
    _("The server is out of disk space. Tell your administrator and try again later."),
    _("You’ve reached your limit of {limit}. Try again {when}."),
    _("tomorrow (midnight UTC)"),
    _("in a minute"),
    _("You can run up to {most} questions at once. Wait for one to finish, or stop it."),
    _("You can follow up to {most} live updates at once. Close a page you no longer need."),
    _("The question is empty."),
    _("The query is empty."),
    _("It contains no questions."),
    _("Unanswerable questions can’t have relevant documents or required text."),
    _("Select the documents with the answer, or mark the question as unanswerable."),
    _("One of the documents isn’t in this knowledge base."),
    _("This import was cancelled."),
    _("This import has already finished."),
    _("Only failed or cancelled jobs can be retried."),
    _("A newer version of this document has been uploaded."),
    _("The containing email or archive failed. Retry that instead."),
    _("This job has already finished."),
    _("This file is {size} MB; the limit is {limit} MB."),
    _("This document is part of an email or archive. Replace the email or archive, or choose another name."),
    _(
        "Someone else just replaced this document. Check their version, and upload yours again if it should replace it."
    ),
    _(
        "A document with this name already exists, and you don’t have permission to replace it. Choose another name."
    ),
    _("A document can have up to {limit} tags."),
    _("Another document already uses this source. Delete it, then retry this one."),
    _("Stop viewing as someone else to download your own data."),
    _("An access check is already running."),
    _("The check was interrupted."),
    _("The check failed; see the server log."),
    _("You’re viewing Cairn as {username} (read-only)."),
    _("Set up a second factor first; it’s required here."),
    _("The CSRF token is missing or invalid."),
    _("You signed in with {name}, but you aren’t in a group that has access to Cairn."),
    _("Too many users are named “{name}”."),
    _("Try again later"),
    _("The request has invalid fields"),
    _("Malformed request"),
    _("Conflicts with the current state"),
    _("The resource has changed since you last read it"),
    _("The request is too large"),
    _("Unsupported media type"),
    _("Sign in or send an API key"),
    _("You don’t have permission to do this"),
    _("Not found, or you don’t have access"),
    _("Part of Cairn is temporarily unavailable"),
    _("Too many requests"),
    _("Daily quota used up"),
    _("{most} questions per minute"),
    _("{most} searches per minute"),
    _("{most} uploads per minute"),
    _("{most} questions per day"),
    _("{most} model tokens per day"),
    _("{most} uploads per day"),
    _("{most} uploaded MB per day"),
    _("it contains a link to another file"),
    _("it contains a path outside the file"),
    _("its content doesn’t match its description"),
    _("it would unpack to far more than its size"),
    _("it is an archive with more than {number} entries"),
    _("the upload would unpack to more than {number} GB"),
    _("the upload contains more than {number} files"),
    _("Outlook email"),
    _("archive"),
    _("email"),
    _("attached email"),
    _("web page"),
    _("file"),
    _("Office file"),
    _("1 image was skipped."),
    _("{count} images were skipped."),
    _("1 embedded object was skipped."),
    _("{count} embedded objects were skipped."),
    _("1 line was skipped."),
    _("{count} lines were skipped."),
    _("1 comment was skipped."),
    _("{count} comments were skipped."),
    _("1 text box was skipped."),
    _("{count} text boxes were skipped."),
    _("1 calendar event was skipped."),
    _("{count} calendar events were skipped."),
    _("Something went wrong"),
    _("Rejected"),
    _("Current"),
    _("Active"),
    _(
        "The file contains too much text: sheet “{name}” was skipped from row {row} on, and so was everything after it."
    ),
    _(
        "Sheet “{name}” was skipped: its cells are spread over {rows} rows and {columns} columns. Delete the stray cells and upload the file again."
    ),
    _(
        "The image has {width} by {height} pixels; the limit is {limit} million. Make it smaller and upload it again."
    ),
    _(
        "Page {number} was skipped: it’s an image, and text recognition took too long. Split the file and upload the parts."
    ),
    _(
        "Pages {numbers} were skipped: they’re images, and text recognition took too long. Split the file and upload the parts."
    ),
    _("The file contains no text. Add some and upload it again."),
)

EARLIER: Final[tuple[str, ...]] = (
    _("It was interrupted."),
    _("It broke off; the log knows more."),
    _("The file is empty (0 bytes). Check that it was saved, then upload it again."),
    _("No text was found in the file, so there is nothing to search. Upload a file that holds text."),
    _(
        "The content is {content}, which cannot be read. Save it in a format that can, and upload that: {formats}."
    ),
    _(
        "The name ends in {suffix}, and the content is {content}, which cannot be read. Save it in a format that can, and upload that: {formats}."
    ),
    _(
        "The name ends in {suffix}, but the content is {content}. Give the file the ending that fits its content, or export it again, and upload that."
    ),
    _(
        "The {kind} is damaged or incomplete and could not be read. Open it in its own program, save it again and upload the new copy."
    ),
    _("The {kind} is protected by a password. Remove the protection and upload it again."),
    _("The file was not opened because {why}. Save the document again in its own program and upload that."),
    _("it lies in more than {limit} archives or mails, each inside another"),
    _("The file holds more than {limit} characters of text. Split it and upload the parts."),
    _("The file holds more than {limit} lines and sentences. Split it and upload the parts."),
    _("A single paragraph is longer than {limit} characters. Break it up and upload the file again."),
    _("The file has more than {limit} MB. Split it and upload the parts."),
    _("The file has {pages} pages; at most {limit} are accepted. Split it and upload the parts."),
    _(
        "Reading the file took longer than {seconds} seconds. Split it, or save it in a simpler form, and upload that."
    ),
    _(
        "Reading the file needed more than {megabytes} MB of memory. Split it, or save it in a simpler form, and upload that."
    ),
    _(
        "The program that reads such files broke down on this one. Save the file again in its own program, or in another format, and upload that."
    ),
    _("Reading the file was cancelled."),
    _(
        "No text was found on any page, nor recognised in its pictures. If the pages show text, scan them again more sharply and upload that."
    ),
    _("No text was recognised in the picture. If it shows text, upload a sharper or larger picture of it."),
    _(
        "{purpose} takes {name}, which is not installed on this server. Ask for it to be installed, or {instead} and upload that."
    ),
    _("The archive holds no files. Pack the files anew and upload that."),
    _("The file could not be processed. Retry it, or report it."),
    _("The embedding model did not answer. Retry when it does."),
    _("The vector index did not answer. Retry when it does."),
    _("The job was cancelled. Retry it to process the file."),
    _("The worker stopped each time it worked on this file."),
    _("The files inside were left out: the account that uploaded it is gone."),
    _("{more} more files were left out."),
    _("The file held its text in base64; it was decoded."),
    _("The file holds too much text: row {row} and all rows after it were left out."),
    _("Hidden sheets were not read: {names}."),
    _("Hidden slides were read as well: {names}."),
    _("Sheet “{name}”: {what} read as well."),
    _("{beyond} attachments beyond the first {most} were left out."),
    _("1 character that nobody sees was taken out of the text. Such characters can hide words from readers."),
    _(
        "{count} characters that nobody sees were taken out of the text. Such characters can hide words from readers."
    ),
    _("{place} reads like an instruction to a language model: “{words}”"),
    _("{more} more passages read like instructions to a language model."),
    _("Page {number} was not read: it is a picture, and reading it takes Tesseract."),
    _("Pages {numbers} were not read: they are pictures, and reading those takes Tesseract."),
    _("Page {number} was not read: text recognition broke down there."),
    _("Pages {numbers} were not read: text recognition broke down there."),
    _("{failed} of the files inside could not be read: see these documents."),
    _("This answer quotes a document that you may no longer read, or that has been changed or deleted."),
    _("This answer was removed because a document that it quoted has been deleted."),
    _("The folder could not be looked at. The server's log says why."),
    _("The folder is empty. In case a disk is only away, nothing was removed."),
    _(
        "Empty: {folders}. In case a disk is only away, nothing that came from there was removed. If it is gone for good, delete the empty folder."
    ),
    _("Who set this up is no admin any more. Another admin has to save it again."),
    _("No folder of this machine may be watched: WATCH_ROOTS is not set."),
    _("The path of a folder to watch begins with “/”."),
    _("There is no such folder among those that may be watched ({allowed})."),
    _("A whole file system cannot be watched. Choose a folder in it."),
    _("This knowledge base watches a folder called “{name}” already."),
    _("This folder is being looked at."),
    _("This folder is watched already."),
    _("This import has been cancelled."),
    _("This import has already ended."),
    _("Only a failed or cancelled job can be tried again."),
    _("The mail or archive that it came in has failed: retry that."),
    _("This job has already ended."),
    _("Files may have {limit} MB at most; this one has {size} MB."),
    _("This source is a part of a mail or an archive. Replace that, or choose another name."),
    _(
        "Somebody else replaced this document at the same moment. Look at the new version, and send yours again if it should still take its place."
    ),
    _("A document from this source exists that you may not replace. Choose another name."),
    _("A document may have {limit} tags at most."),
    _("Another document has this source already. Delete that, and retry this one."),
    _("There is no room left for files. Tell whoever runs Cairn, and try again when there is."),
    _("a part of it is a link to another file"),
    _("a part of it points outside the file"),
    _("it holds something else than it says"),
    _("it is an archive of more than {number} parts"),
    _("more than {number} GB come out of one upload"),
    _("more than {number} files come out of one upload"),
    _("attached mail"),
    _("mail"),
    _("1 picture was not read."),
    _("{count} pictures were not read."),
    _("1 embedded object was not read."),
    _("{count} embedded objects were not read."),
    _("1 line was not read."),
    _("{count} lines were not read."),
    _("1 comment was not read."),
    _("{count} comments were not read."),
    _("1 text box was not read."),
    _("{count} text boxes were not read."),
    _("1 calendar event was not read."),
    _("{count} calendar events were not read."),
    _("The server stopped before this answer was finished."),
    _("What you may read has changed while this was answered. Ask again."),
)
"""Texts that earlier versions have stored."""
