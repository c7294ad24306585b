"""The login: plain HTML, one session a login, and nothing that another site could use."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr, ValidationError
from starlette.responses import Response

from services.dashboard.sessions.cookies import Cookies, own_path
from services.dashboard.settings import DashboardSettings
from tests.integration.dashboard.conftest import PASSWORD, Desk

ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "/\t/evil.example",
    "javascript:alert(1)",
    "/search\r\nSet-Cookie: a=b",
    "evil.example",
    " /search",
]


async def test_a_login_leads_to_the_page_that_was_asked_for(desk: Desk) -> None:
    browser = desk.browser()
    asked = await browser.http.get("/search?q=anna&sort=-amount")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/login?next=%2Fsearch%3Fq%3Danna%26sort%3D-amount"
    form = await browser.http.get(asked.headers["location"])
    assert 'value="/search?q=anna&amp;sort=-amount"' in form.text
    answer = await browser.log_in("mia", next="/search?q=anna&sort=-amount")
    assert (answer.status_code, answer.headers["location"]) == (303, "/search?q=anna&sort=-amount")
    assert (await browser.http.get("/search")).status_code == 200


@pytest.mark.parametrize("target", ELSEWHERE)
async def test_a_login_leads_to_no_other_site(desk: Desk, target: str) -> None:
    answer = await desk.browser().log_in("mia", next=target)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert own_path(target) is None


async def test_the_cookie_is_for_http_alone_and_for_this_site(desk: Desk) -> None:
    answer = await desk.browser().log_in("mia")
    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith("session=")]
    flags = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert flags == {"httponly", "path=/", "samesite=lax"}


async def test_a_login_never_keeps_a_value_that_somebody_else_has_chosen(desk: Desk) -> None:
    browser = desk.browser()
    browser.http.cookies.set("session", "chosen-by-somebody-else", domain="127.0.0.1")
    assert (await browser.log_in("mia")).status_code == 303
    first = [one.value for one in browser.http.cookies.jar if one.name == "session"]
    assert "chosen-by-somebody-else" not in first
    assert (await browser.log_in("olga")).status_code == 303
    second = [one.value for one in browser.http.cookies.jar if one.name == "session"]
    assert first != second
    # The session before is over.
    again = desk.browser()
    again.http.cookies.set("session", str(first[0]), domain="127.0.0.1")
    assert (await again.http.get("/search")).status_code == 303


async def test_a_wrong_password_shows_the_form_again_with_the_name(desk: Desk) -> None:
    answer = await desk.browser().log_in('<script>alert("x")</script>', "wrong")
    assert answer.status_code == 401
    assert "&lt;script&gt;" in answer.text
    assert "<script" not in answer.text
    assert 'role="alert"' in answer.text
    assert "session=" not in str(answer.headers.get_list("set-cookie"))


@pytest.mark.parametrize("token", ["", "0" * 64, "nonsense"])
async def test_a_form_without_its_token_is_refused(desk: Desk, token: str) -> None:
    browser = desk.browser()
    await browser.form_token()
    answer = await browser.post("/login", username="mia", password=PASSWORD, token=token)
    assert answer.status_code == 403
    assert "session=" not in str(answer.headers.get_list("set-cookie"))


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/login", "/logout", "/preferences", "/_dash-update-component"])
async def test_what_another_site_sends_is_refused(desk: Desk, path: str, headers: dict[str, str]) -> None:
    browser = await desk.logged_in("mia")
    assert (await browser.post(path, headers)).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 403), ({"Origin": "null"}, 403), ({"Origin": "http://127.0.0.1:17100"}, 303)],
)
async def test_an_older_browser_names_its_origin(desk: Desk, headers: dict[str, str], status: int) -> None:
    browser = desk.browser()
    fields = {"username": "mia", "password": PASSWORD, "token": await browser.form_token()}
    assert (await browser.http.post("/login", data=fields, headers=headers)).status_code == status


async def test_a_logout_ends_the_session_here_and_in_auth(desk: Desk) -> None:
    browser = await desk.logged_in("mia")
    value = browser.http.cookies["session"]
    assert (await browser.post("/logout", token="0" * 64)).status_code == 403
    token = desk.app.state.cookies.form_token(value)
    answer = await browser.post("/logout", token=token)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    browser.http.cookies.set("session", value, domain="127.0.0.1")
    assert (await browser.http.get("/search")).status_code == 303
    async with desk.database.connect() as owner:
        assert await owner.fetchval("SELECT count(*) FROM dashboard.session WHERE username = 'mia'") == (
            await owner.fetchval(
                "SELECT count(*) FROM auth.sessions s JOIN auth.users u ON u.id = s.user_id "
                "WHERE u.username = 'mia' AND revoked_at IS NULL"
            )
        )


async def test_a_login_that_must_be_finished_elsewhere_leaves_no_session(desk: Desk) -> None:
    open_sessions = (
        "SELECT count(*) FROM auth.sessions s JOIN auth.users u ON u.id = s.user_id "
        "WHERE u.username = 'olga' AND revoked_at IS NULL"
    )
    async with desk.database.connect() as owner:
        before = await owner.fetchval(open_sessions)
        await owner.execute("UPDATE auth.users SET must_change_password = true WHERE username = 'olga'")
        try:
            answer = await desk.browser().log_in("olga")
            assert answer.status_code == 401
            assert "creditmesh login" in answer.text
            assert await owner.fetchval(open_sessions) == before
        finally:
            await owner.execute("UPDATE auth.users SET must_change_password = false WHERE username = 'olga'")


async def test_a_cookie_of_another_program_on_this_host_does_no_harm(desk: Desk) -> None:
    browser = await desk.logged_in("mia")
    value = browser.http.cookies["session"]
    for other in ('broken="a', "a b=c", 'x={"y": [1, 2]}'):
        answer = await desk.browser().http.get("/search", headers={"Cookie": f"{other}; session={value}"})
        assert answer.status_code == 200


async def test_the_choice_of_a_language_keeps_the_page_that_was_asked_for(desk: Desk) -> None:
    browser = desk.browser()
    form = await browser.http.get("/login?next=%2Fsearch%3Fq%3Danna%26sort%3D-amount")
    assert 'name="next" value="/login?next=%2Fsearch%3Fq%3Danna%26sort%3D-amount"' in form.text
    answer = await browser.post(
        "/preferences",
        token=await browser.form_token(),
        language="vi",
        next="/login?next=%2Fsearch%3Fq%3Danna%26sort%3D-amount",
    )
    assert answer.headers["location"] == "/login?next=%2Fsearch%3Fq%3Danna%26sort%3D-amount"


async def test_language_and_theme_are_kept_for_the_browser(desk: Desk) -> None:
    browser = await desk.logged_in("mia")
    token = desk.app.state.cookies.form_token(browser.http.cookies["session"])
    answer = await browser.post("/preferences", token=token, language="vi", theme="dark", next="/search")
    assert (answer.status_code, answer.headers["location"]) == (303, "/search")
    page = (await browser.http.get("/search")).text
    assert '<html lang="vi" data-theme="dark"' in page
    assert (await browser.post("/preferences", token="", language="en")).status_code == 403


def settings(**changes: str) -> DashboardSettings:
    return DashboardSettings.model_validate(
        {
            "application_url": "postgresql+asyncpg://a@127.0.0.1/a",
            "dashboard_session_keys": SecretStr(Fernet.generate_key().decode()),
            "auth_url": "http://auth",
            "intake_url": "http://intake",
            "approval_url": "http://approval",
            "search_url": "http://search",
            "analytics_url": "http://analytics",
            **changes,
        }
    )


def test_by_https_the_cookie_is_this_host_s_alone() -> None:

    assert settings(dashboard_url="https://desk.example").secure
    cookies, response = Cookies("secret", secure=True), Response()
    cookies.set_session(response, "value")
    assert response.headers["set-cookie"] == ("__Host-session=value; HttpOnly; Path=/; SameSite=lax; Secure")


@pytest.mark.parametrize(
    "url", ["http://desk.example", "http://127.0.0.1.evil.example", "https://a/b", "desk"]
)
def test_without_https_only_this_machine_is_served(url: str) -> None:
    with pytest.raises(ValidationError):
        settings(dashboard_url=url)
