"""The KPIs of the warehouse for people: catalogue, publication, values, the rows behind them."""
