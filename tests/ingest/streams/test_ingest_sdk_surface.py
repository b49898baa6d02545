"""The private names of alpaca-py that ingest stands on: an upgrade that moves them must fail here first."""

import ast
import inspect
import textwrap

import pytest
from alpaca.data.live.crypto import CryptoDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.data.live.websocket import DataStream
from alpaca.trading.stream import TradingStream
from websockets.legacy.client import WebSocketClientProtocol, connect

from ingest.streams.tapped_stream import WEBSOCKET_PARAMS

pytestmark = pytest.mark.contract

STREAMS = (StockDataStream, CryptoDataStream, TradingStream)


def methods_called_on_socket(function):
    """The attributes that a method takes from self._ws."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "_ws"
    }


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("name", ["_connect", "_auth", "_start_ws", "_consume", "_run_forever", "close"])
def test_methods_are_coroutines_without_arguments(stream, name):
    method = getattr(stream, name)
    assert inspect.iscoroutinefunction(method)
    assert list(inspect.signature(method).parameters) == ["self"]


@pytest.mark.parametrize("stream", STREAMS)
def test_consume_only_receives_and_everything_uses_what_the_tap_has(stream):
    assert methods_called_on_socket(stream._consume) == {"recv"}
    used = set()
    for _, function in inspect.getmembers(stream, inspect.isfunction):
        used |= methods_called_on_socket(function)
    assert used <= {"recv", "send", "close"}


def test_the_market_stream_subscribes_once_after_it_is_authenticated():
    source = inspect.getsource(DataStream._run_forever)
    assert source.index("_start_ws()") < source.index("_send_subscribe_msg()") < source.index("_consume()")
    assert list(inspect.signature(DataStream._send_subscribe_msg).parameters) == ["self"]
    assert list(inspect.signature(DataStream._dispatch).parameters) == ["self", "msg"]
    assert list(inspect.signature(TradingStream._dispatch).parameters) == ["self", "msg"]


@pytest.mark.parametrize("stream", [StockDataStream, CryptoDataStream])
def test_constructors_take_what_ingest_gives(stream):
    wanted = {"api_key", "secret_key", "raw_data", "url_override", "websocket_params"}
    assert wanted <= set(inspect.signature(stream).parameters)
    made = stream("key", "secret", raw_data=True, url_override="ws://x", websocket_params=WEBSOCKET_PARAMS)
    assert {"trades", "quotes", "bars", "statuses", "lulds", "orderbooks"} <= set(made._handlers)
    assert made._data_received is False


def test_pings_are_on_and_compression_is_off():
    assert 0 < WEBSOCKET_PARAMS["ping_interval"] <= 30
    assert WEBSOCKET_PARAMS["ping_timeout"]
    assert WEBSOCKET_PARAMS["compression"] is None


def test_the_websocket_assembles_messages_where_the_tap_sits():
    read = WebSocketClientProtocol.read_message
    assert inspect.iscoroutinefunction(read)
    assert list(inspect.signature(read).parameters) == ["self"]
    assert "await self.read_message()" in inspect.getsource(WebSocketClientProtocol.transfer_data)
    assert "create_protocol" in inspect.signature(connect).parameters
    source = inspect.getsource(DataStream._connect)
    assert "websockets_legacy.connect(" in source
    assert "**params" in source
