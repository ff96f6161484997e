"""Contract tests of the feed-forward network specimen."""

from framework.testing import FeedForwardPromises


class TestSpecimenFeedForward(FeedForwardPromises):
    part = "feed_forward/specimen"
