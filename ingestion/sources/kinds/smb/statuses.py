"""Statuses of SMB servers, by their meaning for a listing (MS-ERREF 2.3)."""

from typing import Final

ACCESS_DENIED: Final = 0xC0000022
END_OF_FILE: Final = 0xC0000011
NO_MORE_FILES: Final = 0x80000006
SHARING_VIOLATION: Final = 0xC0000043
FILE_LOCK_CONFLICT: Final = 0xC0000054
BAD_NETWORK_NAME: Final = 0xC00000CC

LOGON_REFUSALS: Final = frozenset(
    (
        ACCESS_DENIED,
        0xC000006A,  # wrong password
        0xC000006D,  # logon failure
        0xC000006E,  # account restriction
        0xC000006F,  # outside the account's hours
        0xC0000070,  # not from this machine
        0xC0000071,  # password expired
        0xC0000072,  # account disabled
        0xC000015B,  # logon type not granted
        0xC0000193,  # account expired
        0xC0000224,  # password must change
        0xC0000234,  # account locked
        0xC0000418,  # NTLM blocked
    )
)
GONE: Final = frozenset(
    (
        0xC000000F,  # no such file
        0xC0000034,  # name not found
        0xC000003A,  # path not found
        0xC0000056,  # being deleted
        0xC0000225,  # not found
    )
)
LOCKED: Final = frozenset((SHARING_VIOLATION, FILE_LOCK_CONFLICT))
OF_ONE_ITEM: Final = (
    GONE
    | LOCKED
    | {
        ACCESS_DENIED,
        END_OF_FILE,
        NO_MORE_FILES,
        0x8000002D,  # symbolic link
        0xC000000D,  # invalid parameter
        0xC0000023,  # buffer too small
        0xC0000033,  # name invalid
        0xC0000039,  # path invalid
        0xC000003B,  # path invalid
        0xC000003E,  # data error
        0xC00000BA,  # a folder, not a file
        0xC00000BB,  # not supported
        0xC0000102,  # file damaged
        0xC0000103,  # a file, not a folder
        0xC0000220,  # not allowed by encryption
        0xC0000257,  # path of another server
        0xC0000279,  # reparse point of an unknown kind
        0xC0000906,  # virus found
        0xC000CF00,  # offline in the cloud
    }
)
"""Statuses that concern one file or folder, while the share works."""
