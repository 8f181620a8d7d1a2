import { fileURLToPath } from "node:url";
import { FolderStore } from "./folder-store.ts";
import type { ObjectStore } from "./object-store.ts";

/** @param url `file:///folder` */
export const openObjectStore = (url: string): ObjectStore => new FolderStore(fileURLToPath(url));
