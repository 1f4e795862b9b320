"""Saves runs as fast as it can: `library_writer.py WRITERS SAVES`, the library by TUNEROI_LIBRARY.

Each writer is a process that opens the library itself. The number of a run is printed when it is
saved, so that who reads them knows what must be there.
"""

import os
import sys

from estimator.library import open_library, save_run

FIGURES = list(range(100_000))
"""A result large enough that a kill hits a writer in the middle of it."""


def save_many(writer: int, saves: int, figures: list[int]) -> None:
    library = open_library()
    for i in range(saves):
        head = save_run(
            library,
            name=f"writer {writer} save {i}",
            kind="plan",
            inputs=f"{writer} {i}",
            result={"writer": writer, "save": i, "figures": figures},
        )
        os.write(1, f"{head.id}\n".encode())


def main(writers: int, saves: int) -> int:
    if writers == 1:
        save_many(0, saves, FIGURES)
        return 0
    children = []
    for writer in range(writers):
        child = os.fork()
        if not child:
            save_many(writer, saves, [])
            os._exit(0)
        children.append(child)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
