"""The KPIs: one file each, with definition, numerator, denominator and the rows behind both."""
