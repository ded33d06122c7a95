"""Reports for people: HTML pages, charts and the text summary."""
