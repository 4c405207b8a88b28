"""Published numbers: what the paper of D-Rank reports, to stand beside ours where the model, the text and the run are the paper's."""

from drank.reporting.published.meeting import beside
from drank.reporting.published.stated import published, published_for

__all__ = ["beside", "published", "published_for"]
