"""Binance USD-M futures, and the paper venue where it speaks the same dialect."""

from onefill.brokers.binance.adapter import BinanceBroker

__all__ = ["BinanceBroker"]
