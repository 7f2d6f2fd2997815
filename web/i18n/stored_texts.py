"""English texts that are stored without a code: places of passages, and messages of earlier versions.

`{blanks}` are placeholders. New messages belong in `cairn.messages`. Whoever rewords a template that was
released adds its former text to `EARLIER`.
"""

from typing import Final

from django.utils.translation import gettext_noop as _

LOCATIONS: Final[tuple[str, ...]] = (
    _("slide {number}"),
    _("row {numbers}"),
    _("rows {numbers}"),
)
"""Places built by `retrieval.passages.locations`, beside `page {number}`."""

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
