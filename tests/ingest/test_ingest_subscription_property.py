"""The subscription reaches what is wanted, however Alpaca limits it and whenever the connection breaks."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ingest.subscription import ANSWER_WITHIN_NS, SubscriptionState

pytestmark = pytest.mark.property

CHANNELS = ("bars", "quotes", "trades")
subscriptions = st.dictionaries(
    st.sampled_from(CHANNELS), st.frozensets(st.sampled_from("ABCDEFGH*"), min_size=1, max_size=8)
)


class Upstream(RuleBasedStateMachine):
    """Alpaca as the state meets it: whole sets acknowledged, requests beyond the limit refused whole."""

    @initialize(limit=st.integers(1, 12))
    def begin(self, limit):
        self.limit = limit
        self.state = SubscriptionState()
        self.has = {}
        self.connected = False
        self.request = None
        self.now_ns = 0

    @rule(wanted=subscriptions)
    def want(self, wanted):
        self.state.want(wanted)

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self):
        self.connected = True
        self.has = {}
        self.state.connected(self.now_ns)
        pairs = [(channel, symbol) for channel, symbols in self.state.wanted.items() for symbol in symbols]
        self.request = ("subscribe", pairs) if pairs else None

    @precondition(lambda self: self.connected)
    @rule()
    def disconnect(self):
        self.connected = False
        self.request = None
        self.state.disconnected()

    @precondition(lambda self: self.connected)
    @rule()
    def answer(self):
        self.step()

    @precondition(lambda self: self.request is not None)
    @rule()
    def lose_the_answer(self):
        self.request = None
        self.now_ns += ANSWER_WITHIN_NS

    @precondition(lambda self: self.connected)
    @rule()
    def settle(self):
        for _ in range(200):
            if not self.step():
                break
        total = sum(map(len, self.has.values()))
        wanted = {channel: set(symbols) for channel, symbols in self.state.wanted.items()}
        if sum(map(len, wanted.values())) <= self.limit:
            assert self.has == wanted
            assert not self.state.refused
        else:
            assert total == self.limit
            assert all(symbols <= wanted[channel] for channel, symbols in self.has.items())
            missing = {(c, s) for c, symbols in wanted.items() for s in symbols - self.has.get(c, set())}
            assert missing == self.state.refused

    def step(self):
        """Answer what is under way, or take the next request; False when nothing is left to do."""
        if self.request is None:
            request = self.state.next_request(self.now_ns)
            if request is None:
                return False
            self.request = request.action, request.pairs
            return True
        action, pairs = self.request
        self.request = None
        after = {channel: set(symbols) for channel, symbols in self.has.items()}
        for channel, symbol in pairs:
            (after.setdefault(channel, set()).add if action == "subscribe" else after[channel].discard)(
                symbol
            )
        if action == "subscribe" and sum(map(len, after.values())) > self.limit:
            self.state.refuse()
            return True
        self.has = {channel: symbols for channel, symbols in after.items() if symbols}
        self.state.acknowledge(
            {channel: sorted(symbols) for channel, symbols in after.items()} | {"T": "subscription"}
        )
        return True


TestUpstream = Upstream.TestCase
TestUpstream.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_a_limit_cuts_quotes_before_trades():
    state = SubscriptionState()
    symbols = frozenset("ABC")
    state.want({"quotes": symbols, "statuses": symbols, "trades": symbols})
    state.connected(0)
    state.refuse()
    request = state.next_request(0)
    assert {channel for channel, _ in request.pairs} == {"statuses", "trades"}
