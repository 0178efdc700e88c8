"""How the CPU of a request grows from few open connections to many, ours beside nginx's."""

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.figures import ratios, spread

FEW, MANY = 64, 4096  # connections
REACH = 1.1  # times nginx's growth


def said(cpu: Mapping[int, Mapping[str, Sequence[float | None]]]) -> Iterator[str]:
    """Lines below the tables of rows with so many connections, where both numbers are among them: `cpu` is
    each peer's, by its name, round by round.
    """
    if FEW not in cpu or MANY not in cpu:
        return
    grown = {name: ratios(cpu[MANY][name], of_few) for name, of_few in cpu[FEW].items()}
    yield f"\nCPU of a request with {MANY:,} connections by that with {FEW}:"
    for name, rounds in grown.items():
        if of_rounds := spread(rounds):
            yield f"{name}: {of_rounds.median:.2f} ({of_rounds.least:.2f} to {of_rounds.most:.2f})"
    ours, nginx = spread(grown.get("ours", ())), spread(grown.get("nginx", ()))
    if ours and nginx:
        reached = "yes" if ours.median <= nginx.median * REACH else "NO"
        yield f"ours ≤ nginx's and a tenth, {nginx.median * REACH:.2f}: {reached}"
