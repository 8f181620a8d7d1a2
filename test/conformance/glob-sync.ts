import { register } from "node:module";

/**
 * Loaded before the conformance suite, which names `globSync` of Node 22's `fs` at its start and never calls it when it
 * tests a server: Node 20 would not even load it.
 */
const FS = `export * from "node:fs"; export { default } from "node:fs"; export const globSync = () => [];`;
const HOOKS = `export const resolve = (specifier, context, next) =>
  specifier === "fs" && context.parentURL?.includes("/@modelcontextprotocol/conformance/")
    ? { url: ${JSON.stringify(`data:text/javascript,${encodeURIComponent(FS)}`)}, shortCircuit: true }
    : next(specifier, context);`;

register(`data:text/javascript,${encodeURIComponent(HOOKS)}`);
