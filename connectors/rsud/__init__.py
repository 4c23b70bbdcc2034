"""The regency's hospitals: beds that are free now, and the daily census of inpatients. No patient is in it."""
