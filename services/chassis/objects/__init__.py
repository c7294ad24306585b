"""Objects: content of any size under a key, stored whole or not at all, each encrypted by its own key."""
