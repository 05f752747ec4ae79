#!/usr/bin/env python3
"""Runs docker/compose.yaml's services in its order, by buildah, each as the file says of it.

    tests/platforms/compose.py IMAGE

The file is read by compose's own loader (compose.go), with secrets from the environment as `.env` would give
them. MinIO and mc run from the binaries in PATH. As root; needs buildah, minio, mc and Go.
"""
import json
import os
import re
import subprocess
import sys
import time

import containers
from containers import check, folder

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGE = sys.argv[1]
if "JOBFERRY_PROJECT" not in os.environ:  # before enter(): Go may need the network
    decode = subprocess.run([f"{HERE}/decoder.sh", "compose"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    os.environ.update(MINIO_ROOT_PASSWORD="root-secret", READER_SECRET="secret-of-reader", WRITER_SECRET="secret-of-writer")
    os.environ["JOBFERRY_PROJECT"] = subprocess.run([decode, f"{HERE}/../../docker/compose.yaml"], check=True, text=True,
                                                    stdout=subprocess.PIPE).stdout
containers.enter("minio")
project = json.loads(os.environ.pop("JOBFERRY_PROJECT"))
services = project["services"]
volumes = {}


def seconds(text):
    minutes, rest = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", text).groups()
    return 60 * int(minutes or 0) + int(rest or 0)


def box(name):
    """The container of a service; its tmpfs are new, its volumes what they were."""
    service = services[name]
    mounts = [(folder(0o1777), one.split(":")[0]) for one in service.get("tmpfs", [])]
    for one in service.get("volumes", []):
        # A new volume takes over the mode of what the image has there.
        place = volumes.setdefault(one["source"], folder(0o1777))
        mounts.append((place, one["target"], "ro" if one.get("read_only") else "rw"))
    image = IMAGE if service["image"] == "jobferry" else service["image"]
    return containers.Box(image, service.get("command"), service.get("environment") or {},
                          entrypoint=service.get("entrypoint"), user=service.get("user"),
                          read_only=service.get("read_only", False), mounts=mounts, drop=service.get("cap_drop", []))


def after(name, done):
    """Whether all that the service depends on has been."""
    return all(one in done for one in services[name].get("depends_on") or {})


def jobferry(user, *words):
    secret = services["buckets"]["environment"][f"{user.upper()}_SECRET"]
    keys = {"AWS_ACCESS_KEY_ID": user, "AWS_SECRET_ACCESS_KEY": secret, "AWS_ENDPOINT_URL_S3": "http://minio:9000"}
    return containers.Box(IMAGE, words, keys).run()


def healthy(store):
    """The health check in the container, as often as the file says."""
    test = services["minio"]["healthcheck"]
    for _ in range(test["retries"]):
        if store.also(test["test"][1:], seconds(test["timeout"])) == 0:
            return True
        time.sleep(seconds(test["interval"]))
    return False


def up():
    """What `docker compose up` runs before the job, each when all that it depends on is done."""
    done = ["minio"]
    for name in ("buckets", "digits", "upload"):
        code, text = box(name).run()
        check(f"{name}: ends with 0", code == 0 and after(name, done), text)
        done.append(name)
    check("job: waits for all of them", after("job", done))


def job():
    service = services["job"]
    grace = int(re.search(r"--grace=(\d+)", " ".join(service["command"]))[1])
    period = seconds(service["stop_grace_period"])
    check(f"stop_grace_period, {period} s, is --grace and five", period == grace + 5)
    code, text = box("job").run()
    check("job: ends with 0, its root read-only", code == 0 and service["read_only"], text)
    code, text = jobferry("writer", "ls", "s3://out/job1/ckpt/")
    check("job: checkpoints are there", "lenet-2_" in text, text)
    code, took, text = containers.stop_in_training(lambda: box("job"), "epoch: 1 ", period)
    check(f"job: stopped in mid-training it ends with 75, after {took:.1f} of {period} s", code == 75, text)
    up()
    code, text = box("job").run()
    check("job: up again, it goes on and ends with 0", code == 0 and "epoch: 1 " not in text, text)


def scopes():
    """What each user may, and may not."""
    for user, words, want in [("reader", ("ls", "s3://data/MNIST/"), 0), ("reader", ("ls", "s3://out/job1/"), 77),
                              ("reader", ("rm", "-r", "s3://data/MNIST/"), 77),
                              ("reader", ("cp", "/etc/passwd", "s3://data/x"), 77),
                              ("writer", ("ls", "s3://out/job1/"), 0), ("writer", ("ls", "s3://data/MNIST/"), 77),
                              ("writer", ("cp", "/etc/passwd", "s3://out/x"), 0), ("writer", ("rm", "s3://out/x"), 0)]:
        code, text = jobferry(user, *words)
        check(f"{user}: {' '.join(words)}: {code}", code == want, text)


try:
    check("the job comes after all others", not services.keys() - {"minio", "buckets", "digits", "upload", "job"})
    containers.make_tool_image(services["minio"]["image"], "minio", "minio", "mc")
    containers.make_tool_image(services["buckets"]["image"], "mc", "mc")
    store = box("minio")
    check("minio: unhealthy before it runs", store.also(services["minio"]["healthcheck"]["test"][1:], 2) != 0)
    store.start()
    check("minio: its health check says so when it runs", healthy(store), store.text())
    up()
    job()
    scopes()
finally:
    containers.leave()
sys.exit(1 if containers.failures else 0)
