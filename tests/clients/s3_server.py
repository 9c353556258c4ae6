"""A server that speaks S3, with one bucket that holds a folder's files; says where it is, and ends with its input."""

import os
import sys
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

bucket, prefix, folder = sys.argv[1:]
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret")
s3.create_bucket(Bucket=bucket)
for file in Path(folder).iterdir():
    s3.put_object(Bucket=bucket, Key=f"{prefix}/{file.name}", Body=file.read_bytes())
print(endpoint, flush=True)
# What the test has to say: an object to show, or the end.
for line in sys.stdin:
    answer = s3.get_object(Bucket=bucket, Key=line.strip())
    print(answer["ContentType"], answer["Body"].read().hex(), flush=True)
server.stop()
os._exit(0)
