"""Stand-ins for vSphere and XCP-ng that hold real disk bytes. Nothing that ships imports them."""
