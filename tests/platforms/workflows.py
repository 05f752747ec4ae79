#!/usr/bin/env python3
"""Runs what docker/'s files say, as their YAML has it, without the platforms they are for.

    tests/with_minio.sh tests/platforms/workflows.py JOBFERRY

github/ and gitlab/retrain.yml: each step's lines, three times: the second ends early
(--if_changed), the third meets other, poorer data and must not promote what it learns from them.
By hand: it needs python3-yaml.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docker")
JOBFERRY = os.path.abspath(sys.argv[1])
ENDPOINT = os.environ["MINIO_ENDPOINT"]
ROOT = {"AWS_ACCESS_KEY_ID": os.environ["MINIO_ROOT_USER"],
        "AWS_SECRET_ACCESS_KEY": os.environ["MINIO_ROOT_PASSWORD"], "AWS_ENDPOINT_URL_S3": ENDPOINT}
work = tempfile.mkdtemp()
failures = 0


def check(text, good, detail=""):
    global failures
    print(("ok - " if good else "not ok - ") + text)
    if not good:
        failures += 1
        print("\n".join("    " + line for line in detail.splitlines()[-15:]))


def run(words, environment, folder):
    """Runs words with nothing but this environment, and a PATH; gives code and output."""
    bare = {"PATH": os.path.dirname(JOBFERRY) + ":" + os.environ["PATH"], "HOME": work}
    done = subprocess.run(words, env={**bare, **environment}, cwd=folder, text=True, timeout=300,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def jobferry(*words):
    return run([JOBFERRY, *words], ROOT, work)


def load(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return yaml.safe_load(file)


def github(folder, environment):
    """The steps of retrain.yml, but for the installation; gives the code of the step Retrain and all output."""
    retrain, output, failed = 0, "", False
    summary = os.path.join(folder, "summary")
    for step in load("github/retrain.yml")["jobs"]["retrain"]["steps"]:
        if "run" not in step or step["name"] == "Install":
            continue
        condition = step.get("if", "")
        found = re.match(r"hashFiles\('(.*)'\) != ''", condition)
        if (failed and condition != "always()") or (found and not glob.glob(os.path.join(folder, found[1]))):
            continue
        code, text = run(["bash", "-e", "-o", "pipefail", "-c", step["run"]],
                         {**environment, "GITHUB_STEP_SUMMARY": summary}, folder)
        output += text
        failed = failed or code != 0
        if step["name"] == "Retrain":
            retrain = code
        elif code != 0:
            check(f"github: step {step['name']}", False, text)
    check("github: there is a summary", os.path.getsize(summary) > 0)
    return retrain, output


def gitlab(folder, environment):
    job = load("gitlab/retrain.yml")["retrain"]
    code, output = 0, ""
    for lines in (job["script"], job["after_script"]):
        got, text = run(["bash", "-e", "-o", "pipefail", "-c", "\n".join(lines)], environment, folder)
        code, output = code or got, output + text
    return code, output


def retrain(name, steps):
    train_url, data_url = f"s3://nightly/{name}", f"s3://nightly/data-{name}"
    environment = {**ROOT, "DATA_URL": data_url, "TRAIN_URL": train_url}
    jobferry("mb", "s3://nightly")

    def data(train, seed):
        folder = os.path.join(work, "digits")
        shutil.rmtree(folder, ignore_errors=True)
        jobferry("data", "digits", folder, f"--train={train}", "--test=1000", f"--seed={seed}")
        code, text = jobferry("cp", "-r", folder, data_url)
        check(f"{name}: data are there", code == 0, text)

    def once():
        folder = tempfile.mkdtemp(dir=work)
        code, text = steps(folder, environment)
        return code, text, jobferry("cat", f"{train_url}/.jobferry/best.json")[1], folder

    data(60000, 1)
    code, text, best, folder = once()
    check(f"{name}: the first run ends with 0", code == 0, text)
    check(f"{name}: it is promoted", '"acc"' in best, best + text)
    check(f"{name}: a report and a picture", os.path.exists(f"{folder}/report/report.json") and
          os.path.exists(f"{folder}/report/predictions.png"), text)
    code, text, again, _ = once()
    check(f"{name}: the second ends early", code == 0 and "epoch: 1" not in text and again == best, text)
    data(320, 2)
    code, text, again, _ = once()
    check(f"{name}: a worse model is trained, and not promoted", "epoch: 1" in text and again == best, again + text)
    check(f"{name}: its job fails at the gate", code == 80, f"code {code}\n{text}")


try:
    retrain("github", github)
    retrain("gitlab", gitlab)
finally:
    shutil.rmtree(work)
sys.exit(1 if failures else 0)
