"""Whether it is the compiled server that is tested (`nox -s compiled`), or the sources."""

import pytest

from trio_evserver.serving import exchange

COMPILED = not str(exchange.__file__).endswith(".py")

replaces_a_method = pytest.mark.skipif(
    COMPILED, reason="it puts another method in the place of one, which compiled code does not look up"
)
