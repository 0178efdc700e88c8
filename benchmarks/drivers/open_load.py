"""A load generator: one thread, one epoll, requests at the times that were fixed beforehand, whatever the
server does.

Run as `python -m benchmarks.drivers.open_load` with a `Plan` on standard input; prints one line of JSON.
Bounded in time by the plan, in descriptors by the limit, in memory by both.
"""

import contextlib
import errno
import gc
import itertools
import json
import os
import resource
import select
import socket
import sys
import time
from collections import deque
from dataclasses import asdict

from benchmarks.drivers.load_lane import Asked, Lane
from benchmarks.drivers.load_plan import PROBE_EVERY, Plan, Tally, recovered

BATCH = 32  # requests begun before answers are looked at again
SOURCES = 8  # addresses to come from: the search for a free port is slow where most of them are taken
NAP = 0.005  # seconds; a wait that ends sooner than SPIN is spun, as epoll counts in milliseconds
SPIN = 0.0012
SETTLE = 0.05  # seconds before a connection that failed is replaced
DESCRIPTORS = 65536
_MORE = errno.EINPROGRESS
_STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK


class Generator:
    """Puts a plan's load on the server."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.tally = Tally()
        self.probes: list[tuple[float, float | None]] = []  # when each began, and how long it took
        self._asked = itertools.cycle([Asked(target, plan.keep) for target in plan.targets])
        self._probe_asked = Asked(plan.targets[0], False)
        self._address = ("127.0.0.1", plan.port)
        self._sources = itertools.cycle([(f"127.0.0.{number}", 0) for number in range(2, 2 + SOURCES)])
        self._epoll = select.epoll()
        self._lanes: dict[int, Lane] = {}
        self._free: deque[Lane] = deque()
        self._connecting: deque[tuple[float, Lane]] = deque()
        self._waiting: deque[tuple[float, float, Lane]] = deque()
        self._resting: deque[float] = deque()  # when each lane that failed may be replaced
        self._due = 0

    def run(self) -> dict[str, object]:
        """The whole plan; what it saw."""
        plan = self.plan
        self._start = time.monotonic() + 0.01
        self._counted = self._start + plan.warmup
        self._end = self._counted + plan.seconds
        used = time.process_time()
        try:
            while (now := time.monotonic()) < self._end:
                self._turn(now, self._begin_due(now))
            used = time.process_time() - used
            recovery = self._wind_up()
        finally:
            for lane in self._lanes.values():
                lane.sock.close()
            self._epoll.close()
        busy = used / (plan.warmup + plan.seconds)
        return {**self.tally.summary(), "recovery": recovery, "busy": busy}

    def _wind_up(self) -> float | None:
        """Nothing is begun any more but probes; what is outstanding may still be answered in time."""
        while self._free:
            self._drop(self._free.popleft())
        self._resting.clear()
        limit = self._end + max(self.plan.probe, self.plan.patience + 0.1)
        next_probe = self._end
        while (now := time.monotonic()) < limit:
            if self.plan.probe:
                if now >= next_probe:
                    self._open(next_probe, False, is_probe=True)
                    next_probe += PROBE_EVERY
                if (recovery := recovered(self.probes, self._end)) is not None:
                    return recovery
            elif not self._lanes:
                break
            # As promptly as under load: a connect that is given up late has repeated its SYN, which is load.
            self._turn(now, 0.0 if self._connecting else NAP)
        return None

    def _begin_due(self, now: float) -> float:
        """Begin what is due, a batch at most; seconds until the next is."""
        if self.plan.keep or not self.plan.rate:
            self._keep_number(now)
        if not self.plan.rate:
            return NAP
        due = self._start + self._due / self.plan.rate
        for _ in range(BATCH):
            if due > now:
                break
            self._begin(due, due >= self._counted)
            self._due += 1
            due = self._start + self._due / self.plan.rate
        return max(0.0, min(NAP, due - now))

    def _begin(self, due: float, counts: bool) -> None:
        if not self.plan.keep:
            self._open(due, counts)
            return
        while self._free:
            lane = self._free.popleft()
            if lane.fd in self._lanes:
                self._send(lane, next(self._asked), due, counts)
                return
        self._count(counts, "unoffered")

    def _keep_number(self, now: float) -> None:
        """As many connections as the plan has, and in a closed loop a request on each."""
        plan = self.plan
        while self._resting and self._resting[0] <= now:
            self._resting.popleft()
        lacking = plan.connections - len(self._lanes) - len(self._resting)
        for _ in range(min(BATCH, lacking)):
            self._open(now, not plan.rate and now >= self._counted)
        while not plan.rate and plan.keep and self._free:
            self._begin(now, now >= self._counted)

    def _open(self, scheduled: float, counts: bool, is_probe: bool = False) -> None:
        """A new connection; the handshake on loopback is mostly done when connect returns."""
        carries = not self.plan.keep or is_probe
        if carries:
            self._offer(scheduled, counts)
        try:
            sock = self._connected()
        except OSError:
            self._count(counts, "unopened")
            return
        lane = Lane(sock, scheduled, counts, is_probe)
        self._lanes[lane.fd] = lane
        self._epoll.register(lane.fd, select.EPOLLOUT)
        if carries and self._opened(lane):
            return
        self._connecting.append((time.monotonic() + self.plan.patience, lane))

    def _connected(self) -> "socket.SocketType":
        sock = socket.SocketType(socket.AF_INET, _STREAM)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind(next(self._sources))
        failed = sock.connect_ex(self._address)
        if failed not in (0, _MORE):
            sock.close()
            raise OSError(failed, "connect")
        return sock

    def _opened(self, lane: Lane) -> bool:
        """The connect is complete, as far as a send can tell: ask, or be free."""
        if self.plan.keep and not lane.is_probe:
            lane.is_open = True
            self._epoll.modify(lane.fd, select.EPOLLIN)
            self._free.append(lane)
            return True
        asked = self._probe_asked if lane.is_probe else lane.asked or next(self._asked)
        lane.asked = asked
        try:
            lane.sock.send(asked.request)
        except BlockingIOError:
            return False
        except OSError as error:
            self._fail(lane, "connect-refused" if error.errno == errno.ECONNREFUSED else "reset")
            return True
        now = time.monotonic()
        lane.is_open = True
        lane.since = now if self.plan.from_connect else lane.scheduled
        self._epoll.modify(lane.fd, select.EPOLLIN)
        self._waiting.append((lane.since + self.plan.patience, lane.since, lane))
        return True

    def _send(self, lane: Lane, asked: Asked, due: float, counts: bool) -> None:
        self._offer(due, counts)
        lane.ask(asked, due, counts)
        self._waiting.append((due + self.plan.patience, due, lane))
        try:
            lane.sock.send(asked.request)
        except OSError:
            self._fail(lane, "reset")

    def _turn(self, now: float, wait: float) -> None:
        """Take the answers that are there, give up those that are late."""
        for fd, events in self._epoll.poll(0 if wait < SPIN else wait - SPIN / 2, 256):
            lane = self._lanes.get(fd)
            if lane is None:
                continue
            if lane.is_open:
                self._take(lane)
            else:
                self._finish_connect(lane, events)
        self._expire(now)

    def _finish_connect(self, lane: Lane, events: int) -> None:
        if events & (select.EPOLLERR | select.EPOLLHUP):
            refused = lane.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
            self._fail(lane, "connect-refused" if refused else "reset")
        else:
            self._opened(lane)

    def _take(self, lane: Lane) -> None:
        try:
            if not lane.take():
                return
        except BlockingIOError:
            return
        except OSError:
            self._fail(lane, "reset")
            return
        if lane.asked is None:  # closed by the server while it was free
            self._drop(lane)
        elif not lane.status:
            self._fail(lane, "reset")
        else:
            self._answered(lane, lane.asked)

    def _answered(self, lane: Lane, asked: Asked) -> None:
        now = time.monotonic()
        right = lane.status == 200 and asked.is_right(lane.body())
        if lane.is_probe:
            self.probes.append((lane.scheduled, now - lane.scheduled if right else None))
        elif right:
            self._count(lane.counts, "right")
            if lane.counts:
                self.tally.latencies.append(now - lane.since)
        else:
            self._fail(
                lane, "refused" if lane.status == 503 else "wrong", keep=self.plan.keep and not lane.closes
            )
            if lane.closes or not self.plan.keep:
                return
        if self.plan.keep and not lane.closes and not lane.is_probe:
            lane.ask(None, 0.0, False)
            self._free.append(lane)
        else:
            self._drop(lane)

    def _expire(self, now: float) -> None:
        while self._connecting and self._connecting[0][0] <= now:
            lane = self._connecting.popleft()[1]
            if not lane.is_open and self._lanes.get(lane.fd) is lane:
                self._fail(lane, "connect-timeout")
        while self._waiting and self._waiting[0][0] <= now:
            _, since, lane = self._waiting.popleft()
            if lane.asked is not None and lane.since == since and self._lanes.get(lane.fd) is lane:
                self._fail(lane, "timeout")

    def _fail(self, lane: Lane, kind: str, keep: bool = False) -> None:
        if lane.is_probe:
            self.probes.append((lane.scheduled, None))
        elif self.plan.keep and lane.asked is None:
            self._count(time.monotonic() >= self._counted, f"unused-{kind}")
        else:
            self._count(lane.counts, kind)
        if not keep:
            self._drop(lane)
            if kind != "timeout" and not lane.is_probe and (self.plan.keep or not self.plan.rate):
                self._resting.append(time.monotonic() + max(self.plan.pause, SETTLE))

    def _drop(self, lane: Lane) -> None:
        if self._lanes.get(lane.fd) is lane:
            del self._lanes[lane.fd]
            lane.sock.close()

    def _offer(self, due: float, counts: bool) -> None:
        if counts:
            self.tally.counts["offered"] += 1
            self.tally.lags.append(time.monotonic() - due)

    def _count(self, counts: bool, kind: str) -> None:
        if counts:
            self.tally.counts[kind] += 1


def main() -> None:
    """Read the plan, put the load on, say what was seen."""
    plan = Plan.load(sys.stdin.readline())
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, max(hard, DESCRIPTORS)))
    except (ValueError, OSError):  # not root: what cannot be opened is counted as `unopened`
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.suppress(OSError):  # root's alone; on a busy machine the load would be a lesser one
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    gc.disable()  # bounded in time; a pause of the collector would be the server's in the figures
    seen = Generator(plan).run()
    options = {name: value for name, value in asdict(plan).items() if name != "targets"}
    print(json.dumps({**seen, "plan": options}))


if __name__ == "__main__":
    main()
