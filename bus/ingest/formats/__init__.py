"""The forms in which agencies send files; all of them are read as records with numbers: see `opening.open_records`."""
