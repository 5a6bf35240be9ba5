"""`ferry assess`: where an inventory comes from (a worker, an export of RVTools), and the forms it is written in."""
