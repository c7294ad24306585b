"""What people read of the warehouse: KPIs with their definitions, the rows behind them, and the builds they are of."""
