#!/usr/bin/env python3
"""Runs what docker/'s files say, as their YAML has it, without the platforms they are for.

    tests/with_minio.sh tests/platforms/workflows.py JOBFERRY [ci]

github/ and gitlab/retrain.yml: each step's lines, four times: the second ends early (--if_changed), the
third meets other, poorer data and must not promote what it learns from them, the fourth says so again.
With `ci` also .github/workflows: actionlint reads them, and their steps run in a clone, docker and gh
being programs that write down what they are asked. Left out is the job "tests": ./tests/run.sh.
By hand: it needs python3-yaml, git, and Go for actionlint.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

ROOT_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
HERE = os.path.join(ROOT_FOLDER, "docker")
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


def run(words, environment, folder, seconds=300):
    """Runs words with nothing but this environment, and a PATH; gives code and output."""
    bare = {"PATH": os.path.dirname(JOBFERRY) + ":" + os.environ["PATH"], "HOME": work}
    done = subprocess.run(words, env={**bare, **environment}, cwd=folder, text=True, timeout=seconds,
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


STUB = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
case "$1 $2" in
  "export -o") : >"$3" ;;
  "build --pull") mkdir -p dist jobferry-0/bin && echo 'echo jobferry 1.2.3' >jobferry-0/bin/jobferry &&
    chmod +x jobferry-0/bin/jobferry && tar -czf dist/jobferry-0.tar.gz jobferry-0 ;;
esac
"""


def lint():
    tools = os.path.join(ROOT_FOLDER, "build", "tools")
    program = shutil.which("actionlint") or os.path.join(tools, "actionlint")
    if not os.path.exists(program):
        print("installing: actionlint into build/tools", flush=True)
        subprocess.run(["go", "install", "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"], check=True, cwd="/",
                       env={**os.environ, "GOBIN": os.path.realpath(tools)})
    files = [*glob.glob(f"{ROOT_FOLDER}/.github/workflows/*.yml"), os.path.join(HERE, "github", "retrain.yml")]
    done = subprocess.run([program, *files], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    check("actionlint has nothing to say", done.returncode == 0, done.stdout)


def ci():
    """Each step of ci.yml and release.yml that is a command, for the first entry of each matrix."""
    clone, stubs, calls = f"{work}/clone", f"{work}/stubs", f"{work}/calls"
    subprocess.run(["git", "clone", "-q", ROOT_FOLDER, clone], check=True)
    os.mkdir(stubs)
    for name in ("docker", "gh"):
        with open(f"{stubs}/{name}", "w", encoding="ascii") as file:
            file.write(STUB)
        os.chmod(f"{stubs}/{name}", 0o755)
    known = {"github.actor": "somebody", "secrets.GITHUB_TOKEN": "a-token", "github.ref": "refs/tags/v1.2.3",
             "matrix.os": "ubuntu-24.04", "matrix.arch": "amd64"}
    environment = {"GITHUB_REPOSITORY": "Someone/Jobferry", "GITHUB_REF_NAME": "v1.2.3", "GITHUB_SHA": "0" * 40,
                   "RUNNER_TEMP": f"{work}/temp", "CALLS": calls, "PATH": stubs + ":" + os.environ["PATH"]}
    environment.update({name: value for name, value in os.environ.items() if "CCACHE" in name or "LAUNCHER" in name})
    os.mkdir(f"{work}/temp")
    for name in ("ci", "release"):
        with open(f"{clone}/.github/workflows/{name}.yml", encoding="utf-8") as file:
            jobs = yaml.safe_load(file)["jobs"]
        for job, body in jobs.items():
            if job == "tests":
                check("ci: the job tests is .ci/run", os.access(f"{clone}/.ci/run", os.X_OK) and
                      body["steps"][-1]["run"] == "./.ci/run")
                continue
            for step in body["steps"]:
                if "run" in step:
                    text = re.sub(r"\$\{\{ *([\w.]+) *\}\}", lambda found: known[found[1]], step["run"])
                    # what has no shell of its own named runs as the runner has it: bash -e
                    code, output = run(["bash", "-e", "-c", text], environment, clone, 1500)
                    check(f"{name}: {job}: {text.splitlines()[0][:70]}", code == 0, output)
    with open(calls, encoding="utf-8") as file:
        asked = file.read()
    for want in ("docker push ghcr.io/someone/jobferry:jobferry-v1.2.3-amd64", "gh release create v1.2.3 dist/SHA256SUMS dist/",
                 "docker push ghcr.io/someone/jobferry:modelarts-v1.2.3-amd64", "--build-arg VERSION=1.2.3",
                 "create -t ghcr.io/someone/jobferry:latest -t ghcr.io/someone/jobferry:v1.2.3 "
                 "ghcr.io/someone/jobferry:jobferry-v1.2.3-amd64 ghcr.io/someone/jobferry:jobferry-v1.2.3-arm64",
                 "create -t ghcr.io/someone/jobferry:modelarts ghcr.io/someone/jobferry:modelarts-v1.2.3-amd64 "):
        check(f"asked for: {want}", want in asked, asked)
    check("release: the package is named by its version and machine",
          glob.glob(f"{clone}/build/release/jobferry_*_*.deb") != [])


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
    code, text, _, _ = once()
    check(f"{name}: and the next night too, without training again", code == 80 and "epoch: 1" not in text, f"code {code}\n{text}")


try:
    retrain("github", github)
    retrain("gitlab", gitlab)
    if "ci" in sys.argv[2:]:
        lint()
        ci()
finally:
    shutil.rmtree(work)
sys.exit(1 if failures else 0)
