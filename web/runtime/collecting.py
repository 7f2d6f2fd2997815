"""When Python looks for garbage.

A full collection stops every thread, and with the models' libraries it looks at half a million objects: a
third of a second in which nobody is answered. What is there once all has been loaded stays for good, so it is
set aside. Before, there is nothing to find: looking takes a quarter of the time that imports take.
"""

import gc


def loading_begins() -> None:
    gc.disable()


def loading_ended() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()
