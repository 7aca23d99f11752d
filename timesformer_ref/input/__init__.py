"""Turn a video file into clips: decoding, display, sampling, views, preprocessing."""
