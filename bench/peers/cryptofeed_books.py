"""cryptofeed keeping the books of the bench's venue: `python cryptofeed_books.py HOST:PORT SYMBOL…` (symbols as BTC-USDT)."""

import sys

from cryptofeed import FeedHandler, connection
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import L2_BOOK
from cryptofeed.exchanges import Binance


class Local(Binance):
    """Binance Spot at another address."""


async def on_book(book, receipt_timestamp):
    """The books are kept by cryptofeed; nothing is done with them."""


def main():
    address, symbols = sys.argv[1], sys.argv[2:]
    # It insists on wss://; the bench's venue speaks plain WebSocket on loopback, as to the others.
    connect = connection.connect
    connection.connect = lambda url, **options: connect(url.replace("wss://", "ws://", 1), **options)
    Local.websocket_endpoints = [WebsocketEndpoint(f"wss://{address}")]
    routes = Routes("/api/v3/exchangeInfo", l2book="/api/v3/depth?symbol={}&limit={}")
    Local.rest_endpoints = [RestEndpoint(f"http://{address}", routes=routes)]
    handler = FeedHandler(config={"log": {"filename": "/dev/stderr", "level": "WARNING"}})
    handler.add_feed(Local(symbols=symbols, channels=[L2_BOOK], callbacks={L2_BOOK: on_book}, max_depth=100))
    handler.run()


if __name__ == "__main__":
    main()
