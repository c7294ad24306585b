"""Answers are made once, kept up to a size, and survive the client that asked first."""

from __future__ import annotations

import asyncio

import pytest

from services.analytics.answers import Answers


class Maker:
    """Makes answers of a size and counts them; waits until it may."""

    def __init__(self, size: int = 10) -> None:
        self.size = size
        self.made = 0
        self.may = asyncio.Event()
        self.may.set()

    async def __call__(self) -> bytes:
        self.made += 1
        await self.may.wait()
        return b"x" * self.size


async def test_those_who_ask_at_once_wait_for_one() -> None:
    answers, make = Answers(100, entry_bytes=0), Maker()
    make.may.clear()
    asking = [asyncio.create_task(answers.get("key", make)) for _ in range(10)]
    await asyncio.sleep(0)
    make.may.set()
    assert len({id(answer) for answer in await asyncio.gather(*asking)}) == 1
    assert make.made == 1


async def test_who_goes_away_takes_the_answer_from_nobody() -> None:
    answers, make = Answers(100, entry_bytes=0), Maker()
    make.may.clear()
    first, second = (asyncio.create_task(answers.get("key", make)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    make.may.set()
    assert (await second).body == b"x" * 10
    assert make.made == 1


async def test_the_one_that_nobody_asked_for_longest_goes_first() -> None:
    answers, make = Answers(30, entry_bytes=0), Maker()
    for key in ("a", "b", "c", "a", "d"):
        await answers.get(key, make)
    made = make.made
    for key in ("a", "c", "d"):
        await answers.get(key, make)
    assert make.made == made == 4
    await answers.get("b", make)
    assert make.made == 5


@pytest.mark.parametrize("most", [0, 9])
async def test_what_is_too_large_is_not_kept_and_pushes_nothing_out(most: int) -> None:
    answers, small, large = Answers(most, entry_bytes=0), Maker(0), Maker()
    await answers.get("small", small)
    await answers.get("large", large)
    await answers.get("large", large)
    await answers.get("small", small)
    assert (small.made, large.made) == (1, 2)


async def test_a_failure_is_everybodys_and_is_not_kept() -> None:
    answers, made = Answers(100, entry_bytes=0), 0

    async def fails() -> bytes:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        raise TimeoutError

    results = await asyncio.gather(*(answers.get("key", fails) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [TimeoutError] * 3
    assert made == 1
    assert (await answers.get("key", Maker())).body
    assert made == 1


async def test_a_tag_is_of_the_body() -> None:
    answers = Answers(100, entry_bytes=0)
    first, same, other = [
        (await answers.get(number, Maker(size))).etag for number, size in ((1, 10), (2, 10), (3, 11))
    ]
    assert first == same != other
    assert first.startswith('"')
    assert first.endswith('"')


async def test_empty_answers_take_room_too() -> None:
    answers, make = Answers(30, entry_bytes=10), Maker(0)
    for key in ("a", "b", "c", "d", "a"):
        await answers.get(key, make)
    assert make.made == 5
