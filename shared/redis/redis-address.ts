/** Where Redis is: one server, a cluster, or whatever its sentinels say is the master. */
export type RedisAddress =
  | { kind: "server"; url: string }
  | { kind: "cluster"; nodes: RedisNode[]; login: RedisLogin }
  | { kind: "sentinel"; nodes: RedisNode[]; login: RedisLogin; master: string };

interface RedisNode {
  host: string;
  port: number;
}
interface RedisLogin {
  username?: string;
  password?: string;
  tls?: Record<string, never>;
}

const SEVERAL = /^(rediss?)\+(cluster|sentinel):\/\/(?:([^:@/]*):([^@/]*)@)?([^@/]+)(?:\/([\w.-]+))?$/;
const NODE = /^(\[[^\]]+\]|[^:]+):(\d+)$/;

/**
 * `redis://…`, `redis+cluster://user:password@host:port,host:port` or `redis+sentinel://…@host:port,…/master`; `rediss`
 * for TLS. @returns undefined for anything else
 */
export const parseRedisAddress = (url: string): RedisAddress | undefined => {
  if (/^rediss?:\/\//.test(url)) return { kind: "server", url };
  const [, scheme, kind, username, password, list = "", master] = SEVERAL.exec(url) ?? [];
  const nodes = list.split(",").map((text): RedisNode | undefined => {
    const [, host, port] = NODE.exec(text) ?? [];
    return host ? { host: host.replace(/^\[|\]$/g, ""), port: Number(port) } : undefined;
  });
  if (!nodes.every((node) => node !== undefined)) return undefined;
  const login = {
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
    ...(scheme === "rediss" ? { tls: {} } : {}),
  };
  if (kind === "cluster" && !master) return { kind, nodes, login };
  if (kind === "sentinel" && master) return { kind, nodes, login, master };
  return undefined;
};
