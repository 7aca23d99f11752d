"""A video file to clips: decoding, what a viewer sees, sampling, views, preprocessing."""
