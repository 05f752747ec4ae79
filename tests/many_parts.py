#!/usr/bin/env python3
"""Uploads a file of one byte more than 10,000 parts: tests/many_parts.py JOBFERRY [PART_MIB]

By hand. S3 takes 10,000 parts an object at most, of 5 MiB at least: a file of 10,000 times PART_MIB
(5) and one byte needs larger parts than --part_size asks for. The file is a hole, and the store that
is made for it keeps of each part its size alone, and refuses what S3 would refuse.
"""

import base64
import http.server
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
import zlib
from urllib.parse import parse_qs, urlsplit

MIB = 1 << 20
PARTS_MAX = 10000


class Store(http.server.BaseHTTPRequestHandler):
    """One upload to one key; what came is in the server: parts, a dict of number to size."""

    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, code):
        self.answer(400, f"<Error><Code>{code}</Code></Error>".encode())

    def body(self):
        left, crc, piece = int(self.headers["Content-Length"] or 0), 0, memoryview(bytearray(MIB))
        while left > 0:
            got = self.rfile.readinto(piece[: min(left, MIB)])
            if not got:
                raise ConnectionError("body cut")
            crc = zlib.crc32(piece[:got], crc)
            left -= got
        return crc

    def do_PUT(self):
        query = parse_qs(urlsplit(self.path).query)
        number = int(query["partNumber"][0])
        crc = self.body()
        sum_given = self.headers["x-amz-checksum-crc32"]
        if not 1 <= number <= PARTS_MAX:
            return self.refuse("InvalidArgument")
        if sum_given and base64.b64decode(sum_given) != struct.pack(">I", crc):
            return self.refuse("BadDigest")
        self.server.parts[number] = int(self.headers["Content-Length"])
        return self.answer(200, ETag=f'"{crc:08x}"')

    def do_POST(self):
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if "uploads" in query:
            self.body()
            upload = "<UploadId>one</UploadId>"
            return self.answer(200, f"<InitiateMultipartUploadResult>{upload}</InitiateMultipartUploadResult>".encode())
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        listed = re.findall(r"<Part>.*?</Part>", text, re.S)
        numbers = [int(re.search(r"<PartNumber>(\d+)", part)[1]) for part in listed]
        sizes = [self.server.parts[number] for number in numbers]
        if numbers != sorted(set(numbers)):
            return self.refuse("InvalidPartOrder")
        if any(size < 5 * MIB for size in sizes[:-1]):
            return self.refuse("EntityTooSmall")
        self.server.whole = sum(sizes)
        self.server.completed = len(numbers)
        tag = f"<ETag>x-{len(numbers)}</ETag>"
        return self.answer(200, f"<CompleteMultipartUploadResult>{tag}</CompleteMultipartUploadResult>".encode())

    def do_HEAD(self):
        self.send_response(200 if self.server.completed else 404)
        self.send_header("ETag", f'"x-{self.server.completed}"')
        self.send_header("Content-Length", str(self.server.whole))
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    jobferry, part = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    size = PARTS_MAX * part * MIB + 1
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
    server.parts, server.whole, server.completed = {}, 0, 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        os.truncate(os.open(f"{folder}/hole", os.O_CREAT | os.O_WRONLY), size)
        environment = dict(os.environ, AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="y", HOME=folder,
                           AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}")
        command = [jobferry, "cp", f"--part_size={part}MiB", "--unsigned_payload"]
        subprocess.run([*command, f"{folder}/hole", "s3://bucket/hole"], env=environment, check=True)
    sizes = sorted(set(server.parts.values()))
    print(f"{size} bytes in {server.completed} parts of {sizes} bytes")
    assert server.whole == size and server.completed == len(server.parts) <= PARTS_MAX


main()
