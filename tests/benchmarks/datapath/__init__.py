"""`make bench`: how fast bytes go from each source to XAPI, beside what a person does by hand and what one core can."""
