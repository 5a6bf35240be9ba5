"""One step each, platform-neutral: contract in, contract out."""
