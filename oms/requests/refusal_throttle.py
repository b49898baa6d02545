"""Which requests are decided on now: those of an algorithm that is refused again and again wait. Pure."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from bus.order_messages import CancelRequest, Reason
from oms.state.inputs import RequestRead

_SECOND_NS = 1_000_000_000

# An algorithm may be refused so often at once, and so often a second after that. An account has some three
# requests a second at the broker: whoever is refused more often than this gets nothing by asking faster.
REFUSALS_AT_ONCE = 50
REFUSALS_A_SECOND = 20

_COST_NS = _SECOND_NS // REFUSALS_A_SECOND
_MOST_CREDIT_NS = REFUSALS_AT_ONCE * _COST_NS

# Of one algorithm so many requests are held here, about 2 MB; what follows stays in its stream.
MOST_HELD = 2_000


@dataclass(slots=True)
class _Algorithm:
    """One algorithm. Mutable: all of it. `credit_ns` grows with time, and each refusal takes of it."""

    at_ns: int
    refusals: int
    credit_ns: int = _MOST_CREDIT_NS
    held: "deque[tuple[int, RequestRead]]" = field(default_factory=deque)
    ids: set[str] = field(default_factory=set)


class RefusalThrottle:
    """Holds back the requests of algorithms that are refused too often, and lets them in bit by bit.

    Nobody else waits for them, and cancels of open orders never wait. An order that waits longer than
    `longest_wait_ns` is marked as late: what it was asked for is past. Times are monotonic nanoseconds,
    passed in. Mutable: the algorithms, and those of which something is held.
    """

    def __init__(self, longest_wait_ns: int) -> None:
        self._longest_wait_ns = longest_wait_ns
        self._algorithms: dict[str, _Algorithm] = {}
        # Whoever asks looks at these and at who asks alone, however many there are.
        self._held: dict[str, _Algorithm] = {}

    def __repr__(self) -> str:
        return f"<refusal throttle: {sum(self.held().values())} requests held>"

    def held(self) -> dict[str, int]:
        """How many requests are held of each algorithm that is held back."""
        return {name: len(algorithm.held) for name, algorithm in self._held.items()}

    def full(self) -> set[str]:
        """The streams of which nothing more should be read for now."""
        return {
            algorithm.held[0][1].delivery.stream
            for algorithm in self._held.values()
            if len(algorithm.held) >= MOST_HELD
        }

    def taken(
        self,
        read: Sequence[RequestRead],
        refusals: Mapping[str, int],
        is_open: Callable[[str], bool],
        now_ns: int,
    ) -> list[RequestRead]:
        """What is to be decided on now, of what was read just now and of what is held; the rest is held.

        `refusals`: how often each algorithm was refused since the start. `is_open`: whether the order of an
        id may be canceled.
        """
        asking = {one.algorithm for one in read}
        for name in asking | self._held.keys():
            self._credit(name, refusals.get(name, 0), now_ns)
        if not self._held and all(self._algorithms[name].credit_ns > 0 for name in asking):
            return list(read)
        now: list[RequestRead] = []
        for one in read:
            algorithm = self._algorithms[one.algorithm]
            cancels = isinstance(one.message, CancelRequest) and is_open(one.message.client_order_id)
            if cancels or (algorithm.credit_ns > 0 and not algorithm.held):
                now.append(one)
            elif one.delivery.id not in algorithm.ids:
                algorithm.ids.add(one.delivery.id)
                algorithm.held.append((now_ns, one))
                self._held[one.algorithm] = algorithm
        for name in list(self._held):
            now += self._let_in(name, now_ns)
        return now

    def _credit(self, name: str, refusals: int, now_ns: int) -> None:
        algorithm = self._algorithms.get(name)
        if algorithm is None:
            self._algorithms[name] = _Algorithm(now_ns, refusals)
            return
        grown_ns = min(_MOST_CREDIT_NS, algorithm.credit_ns + now_ns - algorithm.at_ns)
        # A batch is decided on as a whole; however large it was, nobody owes more than a second.
        algorithm.credit_ns = max(-_SECOND_NS, grown_ns - (refusals - algorithm.refusals) * _COST_NS)
        algorithm.at_ns, algorithm.refusals = now_ns, refusals

    def _let_in(self, name: str, now_ns: int) -> list[RequestRead]:
        """A second's worth at once, so that refusals of one kind are told together."""
        algorithm = self._held[name]
        room = max(0, algorithm.credit_ns) // _COST_NS
        if room < min(len(algorithm.held), REFUSALS_A_SECOND):
            return []
        let_in = []
        for _ in range(min(room, len(algorithm.held))):
            since_ns, one = algorithm.held.popleft()
            algorithm.ids.discard(one.delivery.id)
            let_in.append(self._marked(one, now_ns - since_ns))
        if not algorithm.held:
            del self._held[name]
        return let_in

    def _marked(self, one: RequestRead, waited_ns: int) -> RequestRead:
        if waited_ns <= self._longest_wait_ns:
            return one
        limit, waited = self._longest_wait_ns / _SECOND_NS, waited_ns / _SECOND_NS
        late = Reason(
            code="too_many_refusals",
            message=f"{one.algorithm} was refused so often that its requests are read at {REFUSALS_A_SECOND} "
            f"a second; this one waited {waited:.1f} s, longer than {limit:g} s",
            limit=f"{limit:g}",
            value=f"{waited:.1f}",
        )
        return replace(one, late=late)
