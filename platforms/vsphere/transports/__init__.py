"""Ways to the bytes of a frozen disk; today `/folder` over https."""
