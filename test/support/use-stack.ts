import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EmbeddedStack, type StackOptions } from "../../compose/embedded/embedded-stack.ts";

/** A real stack for the tests of one `describe`: private Redis, real Docker, processes of their own. Ended after them. */
export const useStack = (options: Omit<StackOptions, "folder"> = {}): { readonly stack: EmbeddedStack } => {
  let stack: EmbeddedStack | undefined;
  let folder = "";
  before(async function () {
    this.timeout(90_000);
    folder = await mkdtemp(join(tmpdir(), "codegen-mcp-test-"));
    stack = await EmbeddedStack.start({ ...options, folder });
  });
  after(async function () {
    this.timeout(90_000);
    const codes = await stack?.stop();
    if (codes?.some((code) => code !== 0))
      throw new Error(`a process did not end cleanly: ${codes}; logs in ${folder}`);
    await rm(folder, { recursive: true, force: true });
  });
  return {
    get stack(): EmbeddedStack {
      if (!stack) throw new Error("the stack is there once the tests run");
      return stack;
    },
  };
};
