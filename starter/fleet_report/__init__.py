"""A fleet as a report: a page, a spreadsheet, a table."""
