"""Budgets, measurements and their reports."""
