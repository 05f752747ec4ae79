"""Containers for the scripts beside it: what a platform's file says of one, run by buildah as it says.

enter() first: it starts the script again in a network and a mount name space of its own, in which the names
it is given are this machine, so that `http://minio:9000` needs no other spelling, ports are free, and a
file may be mounted below /dev as Kubernetes does. Root only. Images come from buildah's own storage
(tests/image.sh puts jobferry's there); those of MinIO and mc are made of the binaries in PATH, under the
names that the files call them.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BASE = "docker.io/library/debian:bookworm-slim"
SETUP = r"""
ip link set lo up
hosts=$1 dev=$2
shift 2
mount --bind "$hosts" /etc/hosts
mount -t tmpfs -o mode=755 tmpfs "$dev"
for device in null zero full random urandom tty; do
  : >"$dev/$device"
  mount --bind "/dev/$device" "$dev/$device"
done
mkdir "$dev/pts" "$dev/mqueue"
mkdir -m 1777 "$dev/shm"
ln -s /proc/self/fd "$dev/fd"
mount --move "$dev" /dev
exec "$@"
"""
failures = 0
_work = []
_made = []


def check(text, good, detail=""):
    global failures
    print(("ok - " if good else "not ok - ") + text, flush=True)
    if not good:
        failures += 1
        lines = str(detail).splitlines()
        print("\n".join("    " + line for line in (lines if len(lines) < 16 else lines[:4] + lines[-12:])), flush=True)


def enter(*names):
    """Starts the script again where names are this machine; comes back in that second life."""
    if os.environ.get("JOBFERRY_LAB") != str(os.getpid()):
        folder = tempfile.mkdtemp()
        with open(f"{folder}/hosts", "w", encoding="ascii") as file:
            file.write("127.0.0.1 localhost " + " ".join(names) + "\n")
        os.mkdir(f"{folder}/dev")
        os.environ["JOBFERRY_LAB"] = str(os.getpid())  # unshare and bash end in exec: the same process
        os.environ["JOBFERRY_LAB_FOLDER"] = folder
        for name in list(os.environ):
            if name.lower().endswith("_proxy"):
                del os.environ[name]
        os.execvp("unshare", ["unshare", "--net", "--mount", "--propagation", "private", "bash", "-euc", SETUP,
                              "bash", f"{folder}/hosts", f"{folder}/dev", sys.executable, *sys.argv])
    os.environ["BUILDAH_ISOLATION"] = "chroot"
    os.environ.setdefault("STORAGE_DRIVER", "vfs")
    _work.append(os.environ["JOBFERRY_LAB_FOLDER"])


def leave():
    """Removes what was made; to be called at the end, whatever happened."""
    for box in list(_made):
        box.remove()
    for folder in _work:
        subprocess.run(["umount", "-q", f"{folder}/hosts"], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def folder(mode=0o777, owner=0, group=0):
    """A new folder: an emptyDir, a tmpfs, a volume."""
    made = tempfile.mkdtemp(dir=_work[0])
    os.chown(made, owner, group)
    os.chmod(made, mode)
    return made


def buildah(*words):
    return subprocess.run(["buildah", *words], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def have_image(name):
    return subprocess.run(["buildah", "inspect", "--type", "image", name], check=False, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


def make_tool_image(name, entrypoint, *programs):
    """An image of this name with programs of our PATH on Debian, unless there is one."""
    if have_image(name):
        return
    made = buildah("from", "--pull-never", BASE)
    for program in programs:
        buildah("add", "-q", "--chmod", "755", made, shutil.which(program), f"/usr/bin/{program}")
    buildah("config", "--cmd", "", "--env", "HOME=/tmp", made)
    buildah("config", "--entrypoint", json.dumps([entrypoint]), made)
    buildah("commit", "-q", made, name)
    buildah("rm", made)


class Group:
    """Control groups that hold a container to so many cores and bytes, where they can be made."""

    def __init__(self, cores, memory):
        self.folders = []
        name = f"jobferry-test-{os.getpid()}-{time.monotonic_ns()}"
        root = "/sys/fs/cgroup"
        if os.path.exists(f"{root}/cgroup.controllers"):
            wanted = {f"{root}/{name}": {"cpu.max": f"{int(cores * 100000)} 100000", "memory.max": memory}}
        else:
            wanted = {f"{root}/cpu/{name}": {"cpu.cfs_period_us": 100000, "cpu.cfs_quota_us": int(cores * 100000)},
                      f"{root}/memory/{name}": {"memory.limit_in_bytes": memory}}
        for path, files in wanted.items():
            os.mkdir(path)
            self.folders.append(path)
            for file, value in files.items():
                with open(f"{path}/{file}", "w", encoding="ascii") as out:
                    out.write(str(value))

    def join(self):
        for path in self.folders:
            with open(f"{path}/cgroup.procs", "w", encoding="ascii") as out:
                out.write(str(os.getpid()))

    def remove(self):
        for path in self.folders:
            os.rmdir(path)


class Box:
    """One container: made from an image, started once, its output in a file."""

    def __init__(self, image, words, environment, entrypoint=None, user=None, workdir=None, read_only=False,
                 mounts=(), drop=(), group=None):
        config = json.loads(buildah("inspect", "--type", "image", image))["OCIv1"]["config"]
        words = list(words) if words else list(config.get("Cmd") or [])
        if entrypoint is None:
            entrypoint = config.get("Entrypoint") or []
        self.name = buildah("from", "--pull-never", image)
        self.root = buildah("mount", self.name)
        self.bound = False
        self.group = group
        _made.append(self)
        # What a container runtime makes before the root becomes read-only: places to mount at.
        own = [("/etc/hosts", "/etc/" + name) for name in ("hosts", "hostname", "resolv.conf")]
        own.append(("/etc/hosts", "/run/.containerenv"))
        for source, target, *_ in [*own, *mounts]:
            place = self.root + target
            if os.path.isdir(source):
                os.makedirs(place, exist_ok=True)
            elif not os.path.lexists(place):
                os.makedirs(os.path.dirname(place), exist_ok=True)
                open(place, "w", encoding="ascii").close()
        # buildah gives a container this /dev, and mounts nothing below it: done here, in the /dev of enter().
        self.devices = [target for _, target, *_ in mounts if target.startswith("/dev/")]
        for source, target, *_ in mounts:
            if target in self.devices:
                with open(target, "a", encoding="ascii"):
                    subprocess.run(["mount", "--bind", source, target], check=True)
        if read_only:
            subprocess.run(["mount", "--bind", self.root, self.root], check=True)
            self.bound = True
            subprocess.run(["mount", "-o", "remount,bind,ro", self.root], check=True)
            # buildah removes a file of its own there at the end
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", f"{self.root}/run"], check=True)
        command = ["buildah", "run", "--network", "host"]
        if user is not None:
            command += ["--user", str(user)]
        if workdir:
            command += ["--workingdir", workdir]
        for capability in drop:
            command += ["--cap-drop", capability.lower()]
        for source, target, *options in (one for one in mounts if one[1] not in self.devices):
            command += ["--volume", ":".join([source, target, *options])]
        for key, value in environment.items():
            command += ["--env", f"{key}={value}"]
        self.prefix = command + [self.name, "--"]
        self.command = self.prefix + [*entrypoint, *words]
        self.out = tempfile.TemporaryFile(mode="w+", dir=_work[0])
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.out,
                                        stderr=subprocess.STDOUT, start_new_session=True,
                                        preexec_fn=self.group.join if self.group else None)
        return self

    def also(self, words, seconds):
        """Runs more words in the same container, as `docker exec` does; gives the code, 124 after so many seconds."""
        return subprocess.run(["timeout", str(seconds), *self.prefix, *words], check=False, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    def text(self):
        self.out.seek(0)
        return self.out.read()

    def wait_for(self, text, seconds=120):
        """Until its output has this text; false when it ends or the time is up."""
        for _ in range(seconds * 50):
            if text in self.text():
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.02)
        return False

    def main(self):
        """The process id of the program in it: the newest descendant of buildah's."""
        parents = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                    parents.setdefault(int(file.read().rsplit(")", 1)[1].split()[1]), []).append(int(name))
            except OSError:
                continue  # it has ended meanwhile
        below = [self.process.pid]
        for process in below:
            below += parents.get(process, [])
        return below[-1]

    def kill(self, number=signal.SIGTERM):
        os.kill(self.main(), number)

    def wait(self, seconds=300):
        return self.process.wait(timeout=seconds)

    def run(self, seconds=300):
        """Start and wait; gives code and output, and removes the container."""
        self.start()
        code = self.wait(seconds)
        text = self.text()
        self.remove()
        return code, text

    def remove(self):
        if self.process and self.process.poll() is None:
            self.kill(signal.SIGKILL)
            self.process.wait()
        for target in self.devices:
            subprocess.run(["umount", target], check=True)
        if self.bound:
            subprocess.run(["umount", "-R", self.root], check=True)
        buildah("rm", self.name)
        if self.group:
            self.group.remove()
        _made.remove(self)


def stop_in_training(make, mark, seconds, tries=5):
    """TERM for the box that make() gives, when it has said mark; gives its code, the seconds it took, and what it said.

    On a slow day it may end before the signal comes: then once more, with the next box.
    """
    for _ in range(tries):
        box = make().start()
        begun = box.wait_for(mark)
        box.kill()
        start = time.monotonic()
        code = box.wait(seconds)
        took, text = time.monotonic() - start, box.text()
        box.remove()
        if not begun or code != 0:
            break
    return code, took, text
