"""What a board shows first, as data: headline indicators by sector and the schematic map (`board.toml`). Pure; drawing it is a consumer's."""
