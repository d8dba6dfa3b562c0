"""What a service has when it has started, kept out of garbage collections."""

import gc
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager


@contextmanager
def growing_heap() -> Generator[None]:
    """Have the garbage collector pass over what is made in the block: code that is loaded.

    That is there for good. To look through what there is of it again and again takes a tenth of the
    time in which a service starts.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@asynccontextmanager
async def frozen_heap(app: object) -> AsyncGenerator[None]:
    """Have the garbage collector pass over what exists when the block begins; a lifespan.

    A full collection looks at every object of the process, and answers no request meanwhile: under
    load this takes some 50 ms, twice a second, and finds nothing. After this it looks only at what
    was made since. It is for the whole process, so only who owns that enters it, and last.
    """
    del app
    # Not after a collection: imports leave next to nothing that it could find, and it takes 100 ms.
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
