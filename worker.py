"""The worker process: config to clients to activities to task queues."""
