"""The disaster agency: disasters, refugees by post, the level of Merapi, and flooded areas."""
