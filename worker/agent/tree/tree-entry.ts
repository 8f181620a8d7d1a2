/** As in agent.proto; the generated enum would bring the generated code's runtime into every sandbox. */
export const KIND = { file: 1, folder: 2, symlink: 3, removed: 4 } as const;

/** Content is hashed, stored and sent in pieces of this size. */
export const CHUNK_BYTES = 1024 * 1024;
export const HASH_BYTES = 32;

/** A `TreeEntry` without its path, as the scan found it. */
export interface TreeNode {
  kind: (typeof KIND)["file" | "folder" | "symlink"];
  mode: number;
  mtimeUs: number;
  sizeBytes: number;
  chunks: Buffer;
  target: string;
}

const NO_CHUNKS = Buffer.alloc(0);
export const treeNode = (
  kind: TreeNode["kind"],
  stat: { mode: number; mtimeMs: number },
  content: Partial<Pick<TreeNode, "sizeBytes" | "chunks" | "target">> = {},
): TreeNode => ({
  kind,
  mode: stat.mode & 0o7777,
  mtimeUs: Math.round(stat.mtimeMs * 1000),
  sizeBytes: content.sizeBytes ?? 0,
  chunks: content.chunks ?? NO_CHUNKS,
  target: content.target ?? "",
});

export const isSameNode = (a: TreeNode, b: TreeNode): boolean =>
  a.kind === b.kind &&
  a.mode === b.mode &&
  a.mtimeUs === b.mtimeUs &&
  a.sizeBytes === b.sizeBytes &&
  a.target === b.target &&
  a.chunks.equals(b.chunks);
