"""The bound on what was read and not yet sent."""

from trio_evserver.files.read_memory import ReadMemory


def test_memory_counts() -> None:
    """Held, room and peak."""
    memory = ReadMemory(10)
    memory.hold(7)
    assert memory.has_room_for(3)
    assert not memory.has_room_for(4)
    memory.hold(7)
    memory.give_back(10)
    assert (memory.held, memory.peak, repr(memory)) == (4, 14, "<ReadMemory 4/10>")
