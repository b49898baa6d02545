"""The OMS between real servers and a broker in memory."""

from ordering import limit_order, market_order, running, trading


async def test_an_order_is_approved_sent_and_filled(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, market_order("10"))
        sent = await algo.told(order_id, "OrderSent")
        assert sent.broker_order_id == f"broker-{order_id}"
        assert oms.broker.sent == [order_id]
        await oms.fill(order_id, "10", "100.5", "e1")
        filled = await algo.told(order_id, "OrderFilled")
        assert (str(filled.quantity), str(filled.price), filled.status) == ("10", "100.5", "filled")
        assert oms.book.position("AAPL", "alpha") == 10
        kinds = [type(event).__name__ for event in await algo.events(order_id)]
        assert kinds == ["OrderApproved", "OrderSent", "OrderFilled"]


async def test_a_refusal_says_every_reason(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, limit_order("120", "5000"))
        refused = await algo.told(order_id, "OrderRefused")
        codes = {reason.code for reason in refused.reasons}
        assert codes == {
            "order_quantity",
            "order_value",
            "position_quantity",
            "position_value",
            "price_collar",
        }
        assert oms.broker.sent == []
