"""Generates the models of dbt that repeat: the typed copies in ods, and the raw vault."""
