"""What the types that go from room to room have in common."""


class Value:
    """A value: what it is made with is all there is to it, and stays as it is.

    Its attributes are `Final`, to whoever checks types and, where it is compiled, to the interpreter, too.
    Compiled, a value is also the quickest record there is: nothing is looked up by name.
    """

    __slots__ = ()

    def _key(self) -> tuple[object, ...]:
        """All that it is made with, in order; what two are compared by."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and type(self) is type(other) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._key()))})"
