"""How many examples hypothesis tries here: FUZZ_EXAMPLES, or few enough for every run of the tests."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "200")),
    deadline=None,  # a shared machine stalls now and then; no duration is asserted
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("fuzz")
