#!/usr/bin/env python3
"""docker/modelarts: the API's bodies are checked, and their boot commands run as the platform runs them.

    tests/platforms/modelarts.py IMAGE

IMAGE is the target `modelarts` in buildah's storage. The new style: the platform copies inputs in before and
outputs out after, and gives local folders, as arguments or in the environment. The old style: jobferry
copies. What stands in <…> is replaced, and the endpoint is a MinIO's. As root; needs buildah, minio, mc.
"""
import hashlib
import json
import os
import re
import subprocess
import sys

import containers
from containers import check, folder

containers.enter("minio")
HERE = os.path.dirname(os.path.abspath(__file__))
IMAGE = sys.argv[1]
MINIO = "localhost/jobferry-test-minio"
KEYS = {"ACCESS_KEY_ID": "minioroot", "SECRET_ACCESS_KEY": "a-secret-of-minio"}
# What the platform itself sets; user's names must not begin with MA_.
PLATFORM = {"MA_HOME": "/home/ma-user", "MA_JOB_DIR": "/home/ma-user/modelarts/user-job-dir", "VC_TASK_INDEX": "0",
            "MA_MOUNT_PATH": "/home/ma-user/modelarts", "MA_LOG_DIR": "/home/ma-user/modelarts/log", "MA_NUM_HOSTS": "1",
            "S3_ENDPOINT": "obs.example-1.myhuaweicloud.com", "S3_USE_HTTPS": "1", "S3_VERIFY_SSL": "0"}

# The body of POST /v2/{project}/training-jobs, as far as we use it: a type, or the fields and whether they must be.
URL = {"obs_url": (str, True)}
CHANNEL = {"name": (str, True), "local_dir": (str, False), "remote": ({"obs": (URL, True)}, True)}
BODY = {"kind": (str, True),
        "metadata": ({"name": (str, True), "description": (str, False), "annotations": (dict, False)}, True),
        "algorithm": ({"engine": ({"image_url": (str, True)}, True), "command": (str, True),
                       "parameters": ([{"name": (str, True), "value": (str, True)}], False),
                       "inputs": ([CHANNEL], False),
                       "outputs": ([{**CHANNEL, "mode": (str, False), "period": (int, False),
                                     "prefetch_to_local": (bool, False)}], False),
                       "environments": (dict, False)}, True),
        "spec": ({"resource": ({"flavor_id": (str, True), "node_count": (int, True)}, True),
                  "log_export_path": (URL, False)}, True)}


def wrong(value, shape, where=""):
    """What does not fit, as lines."""
    if isinstance(shape, list):
        return [line for i, one in enumerate(value) for line in wrong(one, shape[0], f"{where}[{i}]")]
    if not isinstance(shape, dict):
        return [] if isinstance(value, shape) else [f"{where} is no {shape.__name__}"]
    lines = [f"{where}.{name} is unknown" for name in value if name not in shape]
    for name, (inner, needed) in shape.items():
        if name in value:
            lines += wrong(value[name], inner, f"{where}.{name}")
        elif needed:
            lines.append(f"{where}.{name} is missing")
    return lines


def body(name):
    with open(f"{HERE}/../../docker/modelarts/job-{name}.json", encoding="utf-8") as file:
        text = file.read()
    made = json.loads(text.replace("<bucket>", "lab").replace("<region>", "example-1").replace("<org>", "org"))
    lines = wrong(made, BODY)
    job, algorithm = made["metadata"], made["algorithm"]
    environment = algorithm.get("environments", {})
    if made["kind"] != "job" or not re.fullmatch(r"[\w-]{1,64}", job["name"]):
        lines.append("kind or name")
    if "\n" in algorithm["command"] or len(environment) > 100 or any(one.startswith("MA_") for one in environment):
        lines.append("a boot command is one line, and there are at most 100 variables, none named MA_…")
    if not re.fullmatch("[0-3]", job["annotations"]["fault-tolerance/job-retry-num"]):
        lines.append("retries")
    for one in algorithm.get("inputs", []) + algorithm.get("outputs", []):
        if not re.fullmatch(r"/[^/]+/.*/", one["remote"]["obs"]["obs_url"]):
            lines.append(f"{one['name']}: an OBS folder is /bucket/…/")
    check(f"job-{name}.json is a body of the API", not lines, "\n".join(lines))
    return algorithm


def mc(*words):
    """The platform's own copies."""
    return subprocess.run(["mc", "--quiet", "--config-dir", CONFIG, *words], check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


def boot(command, environment, mounts=()):
    """A container whose boot command runs through a shell, which is no login shell, as the image's user."""
    return containers.Box(IMAGE, ["-c", command], {**PLATFORM, **environment}, entrypoint=["/bin/bash"],
                          mounts=[(folder(0o1777), "/cache"), *mounts])


def weights(path):
    """SHA-256 of a checkpoint's tensors, which its first 494,155 bytes hold; run and time come behind them."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(494155)).hexdigest()


def stopped(box, mark):
    """TERM when it has said mark; gives the code and what it said."""
    code, _, text = containers.stop_in_training(lambda: box, mark, 300, tries=1)
    return code, text


def new_style(how):
    """how: channels and parameters as "arguments", or the channels in the "environment"."""
    algorithm = body("new")
    inputs, outputs = algorithm["inputs"][0], algorithm["outputs"][0]
    places = {f"{kind}/{one['name']}_0": one for kind, one in (("inputs", inputs), ("outputs", outputs))}
    given = {one["name"]: f"/home/ma-user/modelarts/{place}" for place, one in places.items()}
    words = [f"--{one['name']}={one['value']}" for one in algorithm["parameters"]]
    environment = dict(algorithm.get("environments", {}))
    if how == "arguments":
        words = [f"--{name}={value}" for name, value in given.items()] + words
    else:
        environment.update(given)

    def attempt(wait_for=None):
        """One container; what the platform does before and after it."""
        mounts = []
        local = {}
        for place, one in places.items():
            path = local[one["name"]] = folder(0o777, 1000, 100)
            if place.startswith("inputs") or one.get("prefetch_to_local"):
                remote = "lab" + one["remote"]["obs"]["obs_url"]
                if mc("ls", remote):
                    mc("mirror", "--overwrite", remote.rstrip("/"), path)
                subprocess.run(["chown", "-R", "1000:100", path], check=True)
            mounts.append((path, f"/home/ma-user/modelarts/{place}"))
        box = boot(" ".join([algorithm["command"], *words]), environment, mounts)
        code, text = stopped(box, wait_for) if wait_for else box.run()
        mc("mirror", "--overwrite", local["train_url"], "lab" + outputs["remote"]["obs"]["obs_url"].rstrip("/"))
        return code, text, local["train_url"]

    code, text, _ = attempt("epoch: 2 ")
    check(f"new style, {how}: TERM in mid-training is 75", code == 75, text)
    code, text, out = attempt()
    check(f"new style, {how}: a new container with the output copied back goes on and ends with 0",
          code == 0 and "epoch: 1 " not in text and "epoch: 4 " in text, text)
    listing = mc("ls", "-r", "lab" + outputs["remote"]["obs"]["obs_url"])
    check(f"new style, {how}: the platform has the checkpoints", "ckpt/lenet-4_" in listing, listing)
    mc("rm", "-r", "--force", "lab" + outputs["remote"]["obs"]["obs_url"])
    return weights(f"{out}/ckpt/lenet-4_{STEPS}.ckpt")


def old_style():
    algorithm = body("old")
    environment = {**{name: re.sub(r"https://obs\..*", "http://minio:9000", value)
                      for name, value in algorithm["environments"].items()}, **KEYS}
    check("old style: both sides have an endpoint", list(environment.values()).count("http://minio:9000") == 2)
    command = algorithm["command"] + " --unknown_to_us=1"
    code, text = stopped(boot(command, environment), "epoch: 2 ")
    check("old style: TERM in mid-training is 75", code == 75, text)
    code, text = boot(command, environment).run()
    check("old style: a new container with an empty disk goes on and ends with 0",
          code == 0 and "epoch: 1 " not in text and "epoch: 4 " in text, text)
    check("old style: no secret in the log", KEYS["SECRET_ACCESS_KEY"] not in text)
    mc("cp", f"lab/lab/out/job1/ckpt/lenet-4_{STEPS}.ckpt", f"{CONFIG}/old.ckpt")
    return weights(f"{CONFIG}/old.ckpt")


CONFIG = folder(0o700)
STEPS = 1875
os.environ["MC_HOST_lab"] = f"http://{KEYS['ACCESS_KEY_ID']}:{KEYS['SECRET_ACCESS_KEY']}@minio:9000"
try:
    check("wrong bodies are told", len(wrong({"kind": 1, "metadata": {"nam": "x"}}, BODY)) == 5)
    containers.make_tool_image(MINIO, "minio", "minio", "mc")
    store = containers.Box(MINIO, ["server", "/data"], {"MINIO_ROOT_USER": KEYS["ACCESS_KEY_ID"],
                           "MINIO_ROOT_PASSWORD": KEYS["SECRET_ACCESS_KEY"]}, mounts=[(folder(), "/data")]).start()
    mc("ready", "lab")
    code, text = boot("id -u; pwd; umask; jobferry data digits digits --train=60000 --test=1000 && "
                      "jobferry mb s3://lab && jobferry cp -r digits s3://lab/MNIST",
                      {**KEYS, "AWS_ENDPOINT_URL_S3": "http://minio:9000"}).run()
    check("data are there, made as uid 1000 in ma-user's home", code == 0 and text.startswith("1000\n/home/ma-user\n"), text)
    sums = {new_style("arguments"), new_style("environment"), old_style()}
    check("all of them end in the same weights", len(sums) == 1, sums)
finally:
    containers.leave()
sys.exit(1 if containers.failures else 0)
