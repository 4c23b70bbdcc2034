"""Education agency: pupils who come, leave and study (Dapodik), and attendance of schools."""
