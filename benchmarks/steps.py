"""`python -m benchmarks steps`: what each step of a request costs, in one process, without a network."""

import argparse
import sys

from benchmarks import report
from benchmarks.machine import describe


def add_options(parser: argparse.ArgumentParser) -> None:
    """None: the interpreter under test is the one that runs this, and needs what the server needs."""


def main(options: argparse.Namespace) -> None:
    """Measure, print, keep as JSON."""
    from benchmarks.steps_measured import measure  # the other tables do without Trio

    machine = describe(sys.executable)
    report.print_machine(machine)
    rows = measure()
    print(report.table(("step", "µs"), [(step, f"{cost:.2f}") for step, cost in rows]))
    print(f"figures: {report.write('steps', {'machine': machine, 'rows': rows})}")
