// Plants every bug in one short run and says of each whether the harness saw it. The last line is `N passed, N failed`.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Figures } from "./figures.ts";
import { PLANTS } from "./plants.ts";

const folder = await mkdtemp(join(tmpdir(), "codegen-mcp-plants-"));
const json = join(folder, "figures.json");
const args = [
  fileURLToPath(new URL("./main.js", import.meta.url)),
  "--plant",
  Object.keys(PLANTS).join(","),
  "--json",
  json,
];
const run = spawn(process.execPath, args, { stdio: "inherit" });
const code = await new Promise<number | null>((resolve) => run.once("close", resolve));
const figures = JSON.parse(await readFile(json, "utf8").catch(() => "{}")) as Partial<Figures>;
await rm(folder, { recursive: true });

const unseen = Object.entries(PLANTS).filter(([name, { shows }]) => {
  const isSeen = code === 1 && Number(figures[shows] ?? 0) > 0;
  console.log(`${isSeen ? "seen" : "NOT SEEN"}: ${name} (${shows}: ${figures[shows]}, exit code ${code})`);
  return !isSeen;
});
console.log(`${Object.keys(PLANTS).length - unseen.length} passed, ${unseen.length} failed`);
process.exitCode = unseen.length === 0 ? 0 : 1;
