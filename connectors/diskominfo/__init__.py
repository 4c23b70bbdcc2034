"""The communications agency: complaints of SP4N-LAPOR."""
