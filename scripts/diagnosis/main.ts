// Looks at this machine, and at the stack that REDIS_URL and CODEGEN_MCP_URL name. Exits 1 when something is wrong.
import { VERSION } from "../../shared/version.ts";
import { checkEngine } from "./check-engine.ts";
import { checkCoordinators, checkDisk, checkLimits, checkNode, checkPort } from "./check-machine.ts";
import { checkRedis } from "./check-redis.ts";
import { type Finding, note, report } from "./finding.ts";

const OWN_IMAGES = ["python", "node", "polyglot"];
const { env } = process;

const images = (): { image: string; mend: string }[] => {
  const named = new Map((env.SANDBOX_IMAGES ?? "").split(",").map((part) => part.split("=", 2) as [string, string]));
  const name = env.SANDBOX_IMAGE || "python";
  const needed = [{ image: `codegen-mcp/agent:${VERSION}`, mend: "scripts/build-images" }];
  const reference = named.get(name);
  if (reference === undefined && OWN_IMAGES.includes(name))
    return [...needed, { image: `codegen-mcp/${name}:${VERSION}`, mend: `scripts/build-images ${name}` }];
  const image = reference ?? name;
  return [...needed, { image, mend: `docker pull ${image}` }];
};

const engine = await checkEngine({ needed: images() });
const folders = new Map([
  ["sockets to sandboxes (RUN_DIR)", env.RUN_DIR || "/run/codegen-mcp"],
  ["packages (PACKAGE_CACHE_DIR)", env.PACKAGE_CACHE_DIR || "/var/lib/codegen-mcp/packages"],
]);
const store = env.CHECKPOINT_STORE || "file:///var/lib/codegen-mcp/checkpoints";
if (store.startsWith("file://")) folders.set("checkpoints (CHECKPOINT_STORE)", store.slice("file://".length));
if (engine.rootFolder) folders.set("Docker", engine.rootFolder);

const findings: Finding[] = [
  checkNode(),
  ...engine.findings,
  ...(env.REDIS_URL
    ? await checkRedis(env.REDIS_URL)
    : [
        note("Redis", "not looked at: npm start has one of its own", "REDIS_URL=redis://… npm run doctor, for another"),
      ]),
  ...(env.CODEGEN_MCP_URL ? [await checkCoordinators(env.CODEGEN_MCP_URL)] : []),
  await checkPort(env.HOST || "127.0.0.1", Number(env.PORT || 8_080)),
  ...(await checkDisk(folders)),
  ...(await checkLimits()),
];
console.log(report(findings));
process.exit(findings.some(({ verdict }) => verdict === "wrong") ? 1 : 0);
