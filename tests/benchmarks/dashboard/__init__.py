"""What people wait for in the dashboard: pages of figures and the rows behind them."""
