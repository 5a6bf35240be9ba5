"""Whom Ferry trusts with what: secrets by reference, their redaction from logs, the encryption of payloads."""
