"""The open-data store of the PPID: every released table with all of its vintages, a walidata gate, a catalogue and a portal."""
