"""The fold and the merge as a Faust application; the only importer of faust."""
