"""The dashboard: follows the indicators' topics and serves them as REST, as a live stream and as a page."""
