"""Health agency: visits to puskesmas, weighing of children under five, COVID-19 by kelurahan."""
