import { existsSync } from "node:fs";
import Docker from "dockerode";
import { type Finding, note, ok, wrong } from "./finding.ts";

const MIN_MAJOR = 20;
const GOOD_DRIVERS = new Set(["overlay2", "overlayfs", "btrfs", "zfs", "fuse-overlayfs"]);
const CGROUP_ROOT = "/sys/fs/cgroup";

interface Info {
  Driver: string;
  CgroupVersion?: string;
  CgroupDriver: string;
  DockerRootDir: string;
  MemoryLimit: boolean;
  CpuCfsQuota: boolean;
  PidsLimit: boolean;
}

export interface Images {
  /** References that sessions need, each with the command that brings it. */
  needed: { image: string; mend: string }[];
}

/** The Docker Engine: whether it answers us, how old it is, and whether it can hold sandboxes to their limits. */
export async function checkEngine(images: Images): Promise<{ findings: Finding[]; rootFolder?: string }> {
  const docker = new Docker();
  let info: Info;
  let version: string;
  try {
    info = (await docker.info()) as Info;
    version = (await docker.version()).Version;
  } catch (error) {
    return { findings: [unreachable(error as NodeJS.ErrnoException)] };
  }
  const findings = [ofVersion(version), ofDriver(info.Driver), ofCgroup(info), ofLimits(info)];
  for (const { image, mend } of images.needed) findings.push(await ofImage(docker, image, mend));
  return { findings, rootFolder: info.DockerRootDir };
}

function unreachable({ code, message }: NodeJS.ErrnoException): Finding {
  const where = process.env.DOCKER_HOST || "/var/run/docker.sock";
  if (code === "EACCES" || code === "EPERM")
    return wrong(
      "Docker rights",
      `this user may not use ${where}`,
      'sudo usermod -aG docker "$USER", then log in again',
    );
  return wrong(
    "Docker",
    `${where} does not answer (${code ?? message})`,
    "scripts/setup, or sudo systemctl start docker",
  );
}

const ofVersion = (version: string): Finding =>
  Number.parseInt(version, 10) >= MIN_MAJOR
    ? ok("Docker", version)
    : wrong("Docker", `${version}, older than ${MIN_MAJOR}.10`, "apt-get install docker.io");

const ofDriver = (driver: string): Finding =>
  GOOD_DRIVERS.has(driver)
    ? ok("storage driver", driver)
    : note(
        "storage driver",
        `${driver}: starting a sandbox copies its whole image`,
        `"storage-driver": "overlay2" in /etc/docker/daemon.json, then sudo systemctl restart docker`,
      );

/** An engine that was started before the groups were mounted otherwise sets limits where nobody enforces them. */
function ofCgroup({ CgroupVersion: engine = "1", CgroupDriver: driver }: Info): Finding {
  const seen = `v${engine}, ${driver}`;
  if (process.env.DOCKER_HOST && !process.env.DOCKER_HOST.startsWith("unix:")) return ok("cgroups", seen);
  const here = existsSync(`${CGROUP_ROOT}/cgroup.controllers`) ? "2" : existsSync(`${CGROUP_ROOT}/memory`) ? "1" : "0";
  if (here === engine) return ok("cgroups", seen);
  const mounted = here === "0" ? "nothing" : `v${here}`;
  return wrong(
    "cgroups",
    `the engine uses v${engine}, ${CGROUP_ROOT} holds ${mounted}`,
    "sudo systemctl restart docker; if it stays so, reboot",
  );
}

function ofLimits({ MemoryLimit, CpuCfsQuota, PidsLimit }: Info): Finding {
  const missing = Object.entries({ memory: MemoryLimit, cpu: CpuCfsQuota, pids: PidsLimit })
    .filter(([, isThere]) => !isThere)
    .map(([name]) => name);
  return missing.length === 0
    ? ok("sandbox limits", "memory, cpu and processes are enforced")
    : wrong(
        "sandbox limits",
        `this kernel does not enforce ${missing.join(", ")}`,
        'add "cgroup_enable=memory swapaccount=1" to the kernel command line and reboot',
      );
}

async function ofImage(docker: Docker, image: string, mend: string): Promise<Finding> {
  try {
    const { Size } = await docker.getImage(image).inspect();
    return ok("image", `${image}, ${Math.round(Size / 1e6)} MB`);
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 404) throw error;
    return wrong("image", `${image} is not on this engine`, mend);
  }
}
