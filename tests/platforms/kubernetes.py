#!/usr/bin/env python3
"""Runs the containers of docker/kubernetes as a kubelet would start them, by buildah, against a real MinIO.

    kubernetes.py IMAGE BASE.json MINIO.json README     (kubernetes.sh calls it)

The JSON is what kubernetes.sh has decoded into Kubernetes' types. From there come words, environment (config
maps; the secret's keys as the README's own command has them), user, capabilities, read-only root, volumes,
limits (as control groups) and the place of the termination message; the rules of podFailurePolicy are asked
what each exit code means. As root; needs buildah, minio and mc.
"""
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request

import containers
from containers import check, folder

containers.enter("minio")
IMAGE, BASE, LAB, README = sys.argv[1:]
with open(README, encoding="utf-8") as manual:
    # kubectl create secret generic jobferry-keys --from-literal=NAME=…
    WORDS = re.search(r"create secret generic (\S+)((?: --from-literal=\w+=\S+)+)", manual.read())
SECRETS = {WORDS[1]: {name: f"value-of-{name}" for name in re.findall(r"--from-literal=(\w+)=", WORDS[2])}}


def load(path):
    with open(path, encoding="utf-8") as file:
        return {(one["kind"], re.sub(r"-[a-z0-9]{10}$", "", one["metadata"]["name"])): one for one in json.load(file)}


lab = load(LAB)
configs = {one["metadata"]["name"]: one["data"] for (kind, _), one in lab.items() if kind == "ConfigMap"}


def environment(container, name):
    """What the kubelet gives: envFrom, then env over it, and its own."""
    made = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "HOSTNAME": name}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            made.update(configs[source["configMapRef"]["name"]])
        else:
            made.update(SECRETS[source["secretRef"]["name"]])
    for one in container.get("env", []):
        reference = one.get("valueFrom", {})
        if "secretKeyRef" in reference:
            made[one["name"]] = SECRETS[reference["secretKeyRef"]["name"]][reference["secretKeyRef"]["key"]]
        elif "configMapKeyRef" in reference:
            made[one["name"]] = configs[reference["configMapKeyRef"]["name"]][reference["configMapKeyRef"]["key"]]
        else:
            made[one["name"]] = one["value"]
    return made


def cores(text):
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)


def size(text):
    number, unit = re.fullmatch(r"(\d+)(Ki|Mi|Gi)?", text).groups()
    return int(number) << {None: 0, "Ki": 10, "Mi": 20, "Gi": 30}[unit]


class Pod:
    """One pod of a template: its volumes, its containers one after the other, how the last one ended."""

    def __init__(self, name, template):
        self.name, self.spec = name, template["spec"]
        self.context = self.spec.get("securityContext", {})
        group = self.context.get("fsGroup")
        self.volumes = {volume["name"]: folder(0o2777 if group else 0o777, 0, group or 0)
                        for volume in self.spec.get("volumes", []) if "emptyDir" in volume}

    def box(self, container, cpu=None):
        context = {**self.context, **container.get("securityContext", {})}
        user = context.get("runAsUser")
        if context.get("runAsNonRoot") and not user:
            raise RuntimeError(f"{self.name}: runAsNonRoot needs a user")
        self.message = os.path.join(folder(), "message")
        with open(self.message, "w", encoding="ascii"):
            pass
        os.chmod(self.message, 0o666)
        mounts = [(self.volumes[one["name"]], one["mountPath"], "ro" if one.get("readOnly") else "rw")
                  for one in container.get("volumeMounts", [])]
        mounts.append((self.message, container.get("terminationMessagePath") or "/dev/termination-log"))
        limits = container.get("resources", {}).get("limits", {})
        group = containers.Group(cpu or cores(limits.get("cpu", "64")), size(limits["memory"])) if limits else None
        image = IMAGE if container["image"].split(":")[0] == "jobferry" else container["image"]
        return containers.Box(image, container.get("args"), environment(container, self.name),
                              entrypoint=container.get("command"), user=user, workdir=container.get("workingDir"),
                              read_only=context.get("readOnlyRootFilesystem", False), mounts=mounts,
                              drop=context.get("capabilities", {}).get("drop", []), group=group)

    def said(self):
        with open(self.message, encoding="utf-8") as file:
            return file.read()

    def run(self):
        """Init containers, then the one container; gives the code of the first that fails, or 0, and the output."""
        text = ""
        for container in [*self.spec.get("initContainers", []), *self.spec["containers"]]:
            code, more = self.box(container).run()
            text += more
            if code:
                break
        return code, text


def verdict(job, code):
    """What the Job's podFailurePolicy says of the container's exit code."""
    for rule in job["podFailurePolicy"]["rules"]:
        codes = rule.get("onExitCodes", {})
        if codes.get("operator") == "In" and code in codes["values"]:
            return rule["action"]
    return "Count"


def jobferry(*words):
    keys = {**configs[next(iter(configs))], **SECRETS["jobferry-keys"]}
    return containers.Box(IMAGE, words, keys, user=1000, mounts=[(SCRATCH, "/scratch")]).run()


def wait_until_ready(container):
    probe = container["readinessProbe"]["httpGet"]
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://minio:{probe['port']}{probe['path']}", timeout=5) as answer:
                return answer.status == 200
        except urllib.error.URLError:
            time.sleep(0.1)
    return False


def train(job):
    template = job["template"]
    container = template["spec"]["containers"][0]
    code, text = Pod("train-0", template).run()
    check("Job: init containers make buckets and data, it trains and ends with 0", code == 0, text)
    code, text = jobferry("ls", "s3://out/job1/ckpt/")
    check("Job: its checkpoints are in the store", code == 0 and "lenet-2_" in text, text)

    period = template["spec"]["terminationGracePeriodSeconds"]
    pods = []

    def next_box():
        pods.append(Pod("train-1", template))
        return pods[-1].box(container)

    code, took, text = containers.stop_in_training(next_box, "epoch: 1 ", period)
    pod = pods[-1]
    check(f"Job: TERM in mid-training is 75 within terminationGracePeriodSeconds ({took:.1f} of {period} s)", code == 75, text)
    check(f"Job: the termination message tells: {pod.said().strip()}", 0 < len(pod.said()) <= 4096, text)
    check("Job: 75 costs no try", verdict(job, 75) == "Ignore" and verdict(job, 79) == "Ignore")
    pod = Pod("train-2", template)
    code, text = pod.box(container).run()
    check("Job: the next pod, its volumes empty, goes on and ends with 0", code == 0 and "epoch: 1 " not in text, text)
    check(f"Job: the termination message tells: {pod.said().strip()}", pod.said() != "", text)

    keys = SECRETS["jobferry-keys"]
    SECRETS["jobferry-keys"] = {**keys, "AWS_SECRET_ACCESS_KEY": "another-secret"}
    pod = Pod("train-3", template)
    code, text = pod.box(container).run()
    SECRETS["jobferry-keys"] = keys
    check("Job: with a wrong secret it ends with 77", code == 77, text)
    check(f"Job: that fails at once, and says why: {pod.said().strip()}", verdict(job, 77) == "FailJob" and pod.said(), text)
    check("Job: no secret in what it says", keys["AWS_SECRET_ACCESS_KEY"] not in text + pod.said(), text)


def threads_under(job, cpu):
    """How many threads the training has when the limit is so many cores."""
    box = Pod("train-4", job["template"]).box(job["template"]["spec"]["containers"][0], cpu).start()
    box.wait_for("epoch: 1 ")
    threads = len(os.listdir(f"/proc/{box.main()}/task"))
    box.wait()
    box.remove()
    return threads


def retrain(cron):
    job = cron["spec"]["jobTemplate"]["spec"]
    template = job["template"]

    def night(name):
        pod = Pod(name, template)
        code, text = pod.run()
        return code, text, jobferry("cat", "s3://out/nightly/.jobferry/best.json")[1], pod.said()

    code, text, best, _ = night("night-1")
    check("CronJob: the first night passes the gate and is promoted", code == 0 and '"acc"' in best, text + best)
    code, text, again, _ = night("night-2")
    check("CronJob: the second ends at once, its data are the same",
          code == 0 and "epoch: 1 " not in text and again == best, text)
    digits(320, 2)
    code, text, again, said = night("night-3")
    check(f"CronJob: poorer data, a worse model: 80, nothing promoted: {said.strip()}",
          code == 80 and "epoch: 1 " in text and again == best, text + again)
    check("CronJob: 80 fails the job at once", verdict(job, 80) == "FailJob")


def digits(train_images, seed):
    code, text = jobferry("data", "digits", "/scratch/digits", f"--train={train_images}", "--test=1000", f"--seed={seed}")
    code, more = jobferry("sync", "/scratch/digits", "s3://data/MNIST") if code == 0 else (code, "")
    check(f"{train_images} other digits are in the store", code == 0, text + more)


SCRATCH = folder(0o1777)
try:
    for _, one in {**load(BASE), **lab}.items():
        spec = one["spec"]["jobTemplate"]["spec"] if one["kind"] == "CronJob" else one.get("spec", {})
        if "podFailurePolicy" in spec:
            words = " ".join(spec["template"]["spec"]["containers"][0]["args"])
            check(f"{one['kind']}: terminationGracePeriodSeconds is --grace and five",
                  spec["template"]["spec"]["terminationGracePeriodSeconds"] == int(re.search(r"--grace=(\d+)", words)[1]) + 5)
    server = lab["Deployment", "minio"]["spec"]["template"]
    minio = server["spec"]["containers"][0]
    for container in [minio, *lab["Job", "jobferry-train"]["spec"]["template"]["spec"]["initContainers"]]:
        if "minio/minio" in container["image"]:
            containers.make_tool_image(container["image"], "minio", "minio", "mc")
    store = Pod("minio-0", server).box(minio).start()
    check("MinIO's readiness probe is answered", wait_until_ready(minio), store.text())
    train(lab["Job", "jobferry-train"]["spec"])
    one, two = (threads_under(lab["Job", "jobferry-train"]["spec"], cpu) for cpu in (1, 2))
    check(f"Job: {one} threads where the limit is one core, {two} where it is two",
          0 < one < two or os.cpu_count() < 2)
    retrain(lab["CronJob", "jobferry-retrain"])
finally:
    containers.leave()
sys.exit(1 if containers.failures else 0)
