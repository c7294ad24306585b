from services.auth.tokens.chain import RefreshKey, digest, first_token


def test_a_child_follows_from_its_parent_and_the_key_alone() -> None:
    parent, other = first_token(), first_token()
    key = RefreshKey(b"secret")

    assert key.child(parent) == RefreshKey(b"secret").child(parent)
    assert (
        len({parent, other, key.child(parent), key.child(other), RefreshKey(b"another").child(parent)}) == 5
    )
    assert {len(token) for token in (parent, key.child(parent))} == {43}


def test_any_text_has_a_digest() -> None:
    assert len({digest(text) for text in ("", "a", "é", "\ud800", "\x00")}) == 5
