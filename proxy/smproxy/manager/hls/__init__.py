"""HLS: live streams and recordings as playlists, made while somebody watches."""
