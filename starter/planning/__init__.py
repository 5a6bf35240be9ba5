"""Plans as files: read with the line of every word, checked, written so that what people wrote stays as it is."""
