"""The licensing agency: what OSS-RBA says of licences, and how long they took."""
