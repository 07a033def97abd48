"""Binance's dialect: USD-M futures, as its clients know them."""
