"""A bucket of an S3-compatible object store: whole objects, made only where none is, replaced only as they were seen.

Source: the S3 API's conditional writes, ``If-None-Match: *`` and ``If-Match: <etag>`` of PutObject.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError, SSLError
from botocore.exceptions import ConnectionError as ConnectionFailed

from contracts.config import S3Config
from contracts.errors import FerryError
from platforms.secrets import resolve

TAKEN = {"PreconditionFailed", "412"}
UNDECIDED = {"ConditionalRequestConflict", "OperationAborted", "409"}
"""Another write of that object is under way, such as an earlier try of our own: to be asked again (S3 API)."""
PAUSE, CONFLICTS = 0.1, 6
"""Seconds before it is asked again, doubled each time, and how often: six seconds in all."""
ABSENT = {"NoSuchKey", "NotFound", "404"}
PASSING = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "RequestTimeTooSkewed"}
GET_AT_ONCE = 256 << 20
"""Bytes; no object of ours is larger, so a larger one is not ours."""


class Bucket:
    """Objects under one prefix. It may be used by many threads."""

    def __init__(self, config: S3Config) -> None:
        self._name, self._prefix = config.bucket, config.prefix.strip("/") + "/" if config.prefix.strip("/") else ""
        self.where = f"s3://{self._name}/{self._prefix}"
        keys = {}
        if config.access_key and config.secret_key:
            keys = {
                "aws_access_key_id": resolve(config.access_key),
                "aws_secret_access_key": resolve(config.secret_key),
            }
        with self._told():
            self._client: Any = boto3.session.Session().client(
                "s3",
                endpoint_url=config.endpoint,
                region_name=config.region,
                verify=str(config.ca_file) if config.ca_file else True,
                config=Config(
                    connect_timeout=10,
                    read_timeout=60,
                    retries={"mode": "standard", "total_max_attempts": 5},
                    # Other stores than Amazon's refuse the trailers that newer SDKs send unasked.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    s3={"addressing_style": "path" if config.endpoint else "auto"},
                ),
                **keys,
            )

    def get(self, key: str) -> tuple[bytes, str] | None:
        """An object's bytes and its etag; None where there is none.

        Raises:
            FerryError: ``store.unreachable``, ``store.unwritable``; ``store.damaged`` for an object larger than we
                make them.
        """
        with self._told():
            try:
                answer = self._client.get_object(Bucket=self._name, Key=self._prefix + key)
            except ClientError as error:
                if error.response["Error"]["Code"] in ABSENT:
                    return None
                raise
            if answer["ContentLength"] > GET_AT_ONCE:
                raise FerryError("store.damaged", f"{self.where}{key} has {answer['ContentLength']} bytes")
            return answer["Body"].read(), answer["ETag"]

    def put(self, key: str, content: bytes) -> str:
        """Put an object in place of whatever is there; its etag."""
        with self._told():
            return str(self._client.put_object(Bucket=self._name, Key=self._prefix + key, Body=content)["ETag"])

    def create(self, key: str, content: bytes) -> str | None:
        """Make an object where there is none: its etag, or None where another one is."""
        return self._on_condition(key, content, IfNoneMatch="*")

    def replace(self, key: str, content: bytes, etag: str) -> str | None:
        """Replace the object that has that etag: the new one's, or None where it is another by now."""
        return self._on_condition(key, content, IfMatch=etag)

    def delete(self, key: str) -> None:
        """Remove an object, if there is one."""
        with self._told():
            self._client.delete_object(Bucket=self._name, Key=self._prefix + key)

    def keys(self, under: str, after: str = "") -> Iterator[str]:
        """Keys that begin with ``under`` and come after that one, ascending."""
        with self._told():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._name, Prefix=self._prefix + under, StartAfter=self._prefix + after if after else ""
            )
            for page in pages:
                for each in page.get("Contents", ()):
                    yield each["Key"][len(self._prefix) :]

    def _on_condition(self, key: str, content: bytes, **condition: str) -> str | None:
        for attempt in range(CONFLICTS):
            with self._told():
                try:
                    answer = self._client.put_object(
                        Bucket=self._name, Key=self._prefix + key, Body=content, **condition
                    )
                except ClientError as error:
                    code = error.response["Error"]["Code"]
                    if code not in TAKEN | ABSENT | UNDECIDED:
                        raise
                else:
                    return str(answer["ETag"])
            # A try whose answer was lost is tried again by the library, and then meets what it has put itself.
            found = self.get(key)
            if found is not None and found[0] == content:
                return found[1]
            if code not in UNDECIDED:
                return None
            time.sleep(PAUSE * 2**attempt)
        raise FerryError("store.unreachable", f"{self.where}{key}: it is being written by somebody else all the time")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            answer = error.response
            passing = answer["Error"]["Code"] in PASSING or answer["ResponseMetadata"].get("HTTPStatusCode", 0) >= 500
            raise FerryError("store.unreachable" if passing else "store.unwritable", f"{self.where}: {error}") from None
        except (HTTPClientError, ConnectionFailed, IncompleteReadError) as error:  # the library has tried five times
            trust = isinstance(error, SSLError)
            raise FerryError("store.unwritable" if trust else "store.unreachable", f"{self.where}: {error}") from None
        except (BotoCoreError, ValueError) as error:
            raise FerryError("store.unwritable", f"{self.where}: {error}") from None
