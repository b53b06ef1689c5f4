"""Does my receiver do the right thing with the hooks of a real session?"""


def test_a_live_stream_is_on_the_board(board, publisher, until):
    with publisher("cam-1"):
        until(lambda: list(board.live.values()) == ["cam-1"])
    until(lambda: not board.live)


def test_a_lost_publisher_leaves_the_board(board, publisher, until):
    stream = publisher("cam-1", data_channel=False)
    stream.publish()
    until(lambda: board.live)
    stream.vanish()
    until(lambda: not board.live)


def test_hooks_that_the_board_missed_come_again(board, publisher, hooks, until):
    board.broken = True
    with publisher("cam-1"):
        hooks.expect("peer_joined", id="cam-1")
        assert not board.live
        board.broken = False
        until(lambda: board.live)
