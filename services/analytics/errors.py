"""What analytics refuses."""


class NotPublished(Exception):
    """What is in `ap` may not be shown; the message says why and what to do. The build before it stays."""
