"""The people of the embedded platform."""

from collections.abc import Mapping

USERS: Mapping[str, tuple[str, str]] = {
    "maker1": ("Mia Maker", "maker"),
    "maker2": ("Max Maker", "maker"),
    "maker3": ("Mona Maker", "maker"),
    "officer1": ("Olga Officer", "officer"),
    "officer2": ("Otto Officer", "officer"),
    "senior1": ("Selma Senior", "senior_officer"),
    "senior2": ("Sven Senior", "senior_officer"),
    "committee1": ("Clara Committee", "committee"),
    "committee2": ("Cem Committee", "committee"),
    "servicing1": ("Sara Servicing", "servicing"),
    "servicing2": ("Simon Servicing", "servicing"),
    "auditor": ("Ada Auditor", "auditor"),
    "analyst": ("Anna Analyst", "analyst"),
    # Some changes need two administrators, so the platform starts with two.
    "administrator1": ("Ann Administrator", "administrator"),
    "administrator2": ("Amir Administrator", "administrator"),
}
"""One login for each person that a decision may need, by user name: display name and role."""
