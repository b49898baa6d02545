"""The subscription reaches all that Alpaca gives of what is wanted, whatever it refuses or forgets."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ingest.streams.subscription import AGAIN_NS, PAUSE_NS, UNANSWERED_AGAIN_NS, SubscriptionState

pytestmark = pytest.mark.property

CHANNELS = ("bars", "quotes", "trades")
LIMITED = ("trades", "quotes")
pairs = st.tuples(st.sampled_from(CHANNELS), st.sampled_from("ABCDEFGH*"))
subscriptions = st.dictionaries(
    st.sampled_from(CHANNELS), st.frozensets(st.sampled_from("ABCDEFGH*"), min_size=1, max_size=8)
)
MOST_SILENCES = 40
CODES = (400, 409, 410, 412, 413, 500)


def pairs_of(subscription):
    return {(channel, symbol) for channel, symbols in subscription.items() for symbol in symbols}


class Upstream(RuleBasedStateMachine):
    """Alpaca as the state meets it.

    It refuses whole requests that hold any of `bad`, or that go beyond the limit; it leaves `forgotten` out
    of what it acknowledges, and answers no request that holds any of `mute`.
    """

    @initialize(
        limit=st.integers(1, 9),
        bad=st.dictionaries(pairs, st.sampled_from(CODES), max_size=4),
        forgotten=st.sets(pairs, max_size=3),
        mute=st.sets(pairs, max_size=1),
        first=subscriptions,
        second=subscriptions,
    )
    def begin(self, limit, bad, forgotten, mute, first, second):
        self.limit = limit
        self.state = SubscriptionState()
        self.bad, self.forgotten, self.mute = bad, forgotten, mute
        self.has = set()
        self.connected = False
        self.request = None
        self.now_ns = 0
        self.healed = False
        self.silences = 0
        self.age = {}
        self.want(first)
        self.connect()
        self.settle()
        both = {channel: first.get(channel, set()) | second.get(channel, set()) for channel in CHANNELS}
        self.want({channel: frozenset(symbols) for channel, symbols in both.items() if symbols})
        self.settle()

    @rule(wanted=subscriptions)
    def want(self, wanted):
        self.state.want(wanted)
        now = pairs_of(wanted)
        self.age = {pair: age for pair, age in self.age.items() if pair in now}
        newest = max(self.age.values(), default=0) + 1
        # What was not given back yet when it is wanted anew has kept its place.
        self.age |= {pair: 0 if pair in self.has else newest for pair in now if pair not in self.age}

    @rule(pair=pairs, code=st.sampled_from(CODES))
    def refuse(self, pair, code):
        self.bad[pair] = code

    @rule(pair=pairs)
    def forget(self, pair):
        self.forgotten.add(pair)

    @rule(pair=pairs)
    def fall_mute(self, pair):
        self.mute.add(pair)

    @rule()
    def heal(self):
        self.healed = bool(self.bad or self.forgotten or self.mute) or self.healed
        self.bad, self.forgotten, self.mute = {}, set(), set()

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self):
        self.connected = True
        self.has = set()
        self.request = None
        self.state.connected()

    @precondition(lambda self: self.connected)
    @rule()
    def disconnect(self):
        self.connected = False
        self.state.disconnected()

    @precondition(lambda self: self.connected)
    @rule()
    def answer(self):
        self.step()

    @precondition(lambda self: self.connected)
    @rule()
    def nothing_that_alpaca_gives_is_missing_in_the_end(self):
        # Whatever was refused before what refused it was taken away is asked again within the longest wait.
        self.settle()
        self.now_ns += UNANSWERED_AGAIN_NS
        self.settle()
        wanted = pairs_of(self.state.wanted)
        withheld = self.bad.keys() | self.forgotten | self.mute
        # What Alpaca does not take back stays, and harms nobody.
        assert self.has <= wanted | self.bad.keys() | self.mute
        assert self.has == pairs_of(self.state.acknowledged)
        unanswered = wanted - self.has - set(self.state.refused)
        assert not unanswered or (unanswered <= self.mute and not self.has)
        for pair in wanted - self.has - withheld - unanswered:
            assert self.state.refused[pair].code == 405
            assert self.exceeds(self.has | {pair})
        for pair in wanted & self.bad.keys() - self.has - self.mute - self.forgotten:
            # A limit is found before what else is wrong with a pair that it concerns.
            assert self.state.refused[pair].code in {405, *self.bad.values()}
        assert self.silences < MOST_SILENCES or not self.has

    @precondition(lambda self: self.connected)
    @rule(seconds=st.sampled_from([1, 100, 500]))
    def nothing_is_asked_again_and_again(self, seconds):
        self.settle()
        refused = len(self.state.refused)
        requests, ends_ns = 0, self.now_ns + seconds * 1_000_000_000
        while self.now_ns < ends_ns:
            requests += self.settle()
            self.now_ns += AGAIN_NS // 2
        rounds = 2 + seconds * 1_000_000_000 // AGAIN_NS
        # Where nothing at all is answered, each request costs a connection: waits between these grow.
        assert requests <= rounds * (10 * refused + 10) or self.silences == MOST_SILENCES

    @invariant()
    def a_limit_refuses_the_newest(self):
        """Nothing older is beyond the limit than what it leaves room for, unless a place came free later."""
        beyond = [pair for pair, refusal in self.state.refused.items() if refusal.code == 405]
        # What was refused for anything else may be too late when it is given.
        if beyond and not self.healed and not (self.bad or self.forgotten or self.mute):
            ages = {}
            for channel, symbol in self.has:
                if channel in LIMITED:
                    age = self.age.get((channel, symbol), 0)
                    ages[symbol] = min(age, ages.get(symbol, age))
            assert max(ages.values()) <= min(self.age[pair] for pair in beyond)

    def teardown(self):
        if not self.connected:
            self.connect()
        self.nothing_that_alpaca_gives_is_missing_in_the_end()
        self.nothing_is_asked_again_and_again(500)

    def exceeds(self, has):
        return len({symbol for channel, symbol in has if channel in LIMITED}) > self.limit

    def settle(self):
        """Answer until nothing is asked for a pause any more; returns how many requests came."""
        requests = self.silences = 0
        for _ in range(3000):
            requests += self.request is not None
            if not self.step():
                self.now_ns += self.state.pause_ns(self.now_ns)
                if not self.step():
                    return requests
            if self.silences == MOST_SILENCES:
                return requests
        raise AssertionError("it asks and asks")

    def step(self):
        """Answer what is under way, or take the next request; False when nothing is left to do."""
        if self.request is None:
            self.request = self.state.next_request(self.now_ns)
            return self.request is not None
        request, self.request = self.request, None
        asked = set(request.pairs)
        self.now_ns += 1_000_000
        if asked & self.mute:
            # The shell closes the connection for it, and connects again.
            self.silences += 1
            self.state.give_up(self.now_ns)
            self.state.disconnected()
            self.connected = False
            self.connect()
            return True
        adds = request.action == "subscribe"
        after = self.has | asked if adds else self.has - asked
        if adds and self.exceeds(after):
            assert self.state.refuse(405, "symbol limit exceeded", self.now_ns)
            return True
        if wrong := sorted(asked & self.bad.keys()):
            assert self.state.refuse(self.bad[wrong[0]], "no", self.now_ns)
            return True
        self.has = after - self.forgotten if adds else after
        channels = {}
        for channel, symbol in sorted(self.has):
            channels.setdefault(channel, []).append(symbol)
        self.state.acknowledge(channels | {"T": "subscription", "corrections": ["A"]}, self.now_ns)
        return True


TestUpstream = Upstream.TestCase
TestUpstream.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_a_limit_cuts_quotes_before_trades():
    state = SubscriptionState()
    symbols = frozenset("ABC")
    state.want({"quotes": symbols, "statuses": symbols, "trades": symbols})
    state.connected()
    state.next_request(0)
    state.refuse(405, "symbol limit exceeded", 0)
    request = state.next_request(PAUSE_NS)
    assert {channel for channel, _ in request.pairs} == {"statuses", "trades"}


def trades(symbols):
    return {"trades": frozenset(symbols)}


def served(state, limit=99, forgotten=(), now_ns=0):
    """Answer all that is asked as Alpaca would; returns how many requests came until nothing was asked."""
    requests = 0
    while (request := state.next_request(now_ns + state.pause_ns(now_ns))) is not None:
        requests += 1
        assert requests < 200, "it asks and asks"
        has, asked = set(state.acknowledged.get("trades", ())), {symbol for _, symbol in request.pairs}
        after = has | asked if request.action == "subscribe" else has - asked
        if len(after) > limit:
            state.refuse(405, "symbol limit exceeded", now_ns)
        else:
            state.acknowledge({"trades": sorted(after.difference(forgotten))}, now_ns)
    return requests


def test_a_limit_refuses_the_newest_want_also_on_the_next_connection():
    state = SubscriptionState()
    state.connected()
    state.want(trades("YZ"))
    served(state, limit=3)
    state.want(trades("ABYZ"))
    for _ in range(2):
        served(state, limit=3)
        assert state.acknowledged == trades("AYZ")
        assert {pair: refusal.code for pair, refusal in state.refused.items()} == {("trades", "B"): 405}
        state.disconnected()
        state.connected()


def test_a_place_that_comes_free_is_taken_at_once():
    state = SubscriptionState()
    state.connected()
    state.want(trades("ABC"))
    served(state, limit=2)
    state.want(trades("BCD"))
    served(state, limit=2)
    assert state.acknowledged == trades("BC")
    assert set(state.refused) == {("trades", "D")}


def test_far_beyond_a_limit_few_requests_are_needed():
    state = SubscriptionState()
    state.connected()
    state.want({"trades": frozenset(f"S{number}" for number in range(1000))})
    assert served(state, limit=30) < 40
    assert len(state.refused) == 970
    assert served(state, limit=30) == 0


def test_what_an_acknowledgement_leaves_out_is_asked_again_now_and_then_and_ever_less_often():
    state = SubscriptionState()
    state.connected()
    state.want(trades("AB"))
    assert served(state, forgotten="B") == 1
    now_ns, asked_ns = 0, []
    while now_ns < 3600 * 1_000_000_000:
        now_ns += 1_000_000_000
        if served(state, forgotten="B", now_ns=now_ns):
            asked_ns.append(now_ns // 1_000_000_000)
    assert asked_ns == [60, 180, 420, 900, 1860, 2820]
    assert state.refused["trades", "B"].code is None
    assert served(state, now_ns=now_ns + 960 * 1_000_000_000) == 1
    assert state.acknowledged == trades("AB")
    assert not state.refused
