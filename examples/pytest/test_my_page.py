"""Does my page publish, and does it say so when it cannot?"""

from playwright.sync_api import expect


def test_the_page_goes_live(open_page, hooks):
    page = open_page("cam-1")
    expect(page.locator("#status")).to_have_text("live", timeout=15_000)
    hooks.expect("remote_track_started", id="cam-1", track="video_main", timeout=15)
    page.click("#stop")
    hooks.expect("disconnected", id="cam-1", reason=0)


def test_the_page_says_that_the_name_is_taken(open_page, publisher, hooks):
    with publisher("cam-1"):
        page = open_page("cam-1")
        expect(page.locator("#status")).to_contain_text("refused", timeout=15_000)
    hooks.expect("connect_error", id="cam-1", error=4)


def test_the_page_says_that_it_may_not(open_page, faults):
    fault = faults.add("publish-denied", id="cam-1")
    page = open_page("cam-1")
    expect(page.locator("#status")).to_contain_text("refused", timeout=15_000)
    assert fault.injected == 1


def test_a_closed_tab_ends_the_stream(open_page, hooks):
    page = open_page("cam-1")
    hooks.expect("connected", id="cam-1", timeout=15)
    page.close()
    hooks.expect("disconnected", id="cam-1", timeout=15)
