"""What people read: tables and lines made of contracts. Numbers are humane here, raw in JSON."""
