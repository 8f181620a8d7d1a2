import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { EmbeddedStack } from "../compose/embedded/embedded-stack.ts";
import { clientConfigs } from "./client-configs.ts";

/** Leaves the embedded stack running until Ctrl-C, and says how to use it. Its data stays in `DATA_DIR`. */
const folder = resolve(process.env.DATA_DIR || ".data/stack");
await mkdir(folder, { recursive: true });
const stopped = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
const stack = await EmbeddedStack.start({ folder, port: Number(process.env.PORT || 8080) }).catch((error: Error) => {
  console.error(`codegen-mcp did not start: ${error.message}\nIs the port taken? Choose another with PORT=… npm start`);
  process.exit(1);
});

console.log(`\ncodegen-mcp answers at ${stack.url}\nData and logs: ${folder}\n`);
for (const { client, where, text } of clientConfigs(stack.url)) console.log(`${client} (${where}):\n${text}\n`);
console.log("Ctrl-C ends it; running calls get 10 s.");

await stopped;
console.log("\nStopping …");
const codes = await stack.stop();
process.exit(codes.every((code) => code === 0) ? 0 : 1);
