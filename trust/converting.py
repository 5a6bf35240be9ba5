"""The one data converter of workers, the command line and Python programs."""

import dataclasses

from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverter, PayloadConverter

from contracts.config import TemporalConfig
from contracts.redaction import redacted
from trust.references import resolve
from trust.sealing import SealingCodec, key_of


class RedactingFailures(DefaultFailureConverter):
    """The last gate: whatever fails, foreseen or not, shows no secret in Temporal's history."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """As the SDK does it; then its words are searched."""
        super().to_failure(exception, payload_converter, failure)
        failure.message, failure.stack_trace = redacted(failure.message), redacted(failure.stack_trace)


class SealedFailures(RedactingFailures):
    """Messages and stack traces too go where the codec encrypts them."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """Move them, as ``DefaultFailureConverterWithEncodedAttributes`` does, but searched first."""
        super().to_failure(exception, payload_converter, failure)
        told = {"message": failure.message, "stack_trace": failure.stack_trace}
        failure.encoded_attributes.CopyFrom(payload_converter.to_payloads([told])[0])
        failure.message, failure.stack_trace = "Encoded failure", ""


def codec_of(temporal: TemporalConfig) -> SealingCodec:
    """With the keys that the config names.

    Raises:
        FerryError: ``config.secret_missing``, ``config.invalid``.
    """
    return SealingCodec([key_of(resolve(each)) for each in temporal.payload_key])


def converter_of(temporal: TemporalConfig) -> DataConverter:
    """Pydantic models as JSON, encrypted where the config names a key. Raises as :func:`codec_of`."""
    return converter_with(codec_of(temporal))


def converter_with(codec: SealingCodec) -> DataConverter:
    """The same, with a codec that was made before."""
    failures = SealedFailures if codec.key_ids else RedactingFailures
    return dataclasses.replace(pydantic_data_converter, payload_codec=codec, failure_converter_class=failures)
