/** Where Redis is: one server, a cluster, or whatever its sentinels say is the master. */
export type RedisAddress =
  | { kind: "server"; url: string }
  | { kind: "socket"; path: string; login: RedisLogin }
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
const SOCKET = /^redis\+unix:\/\/(?:([^:@/]*):([^@/]*)@)?(\/.+)$/;
const NODE = /^(\[[^\]]+\]|[^:]+):(\d+)$/;

/**
 * `redis://…`, `redis+unix://user:password@/path/of/redis.sock`, `redis+cluster://user:password@host:port,host:port` or `redis+sentinel://…@host:port,…/master`; `rediss`
 * for TLS. @returns undefined for anything else
 */
export const parseRedisAddress = (url: string): RedisAddress | undefined => {
  if (/^rediss?:\/\//.test(url)) return { kind: "server", url };
  const [, user, secret, path] = SOCKET.exec(url) ?? [];
  if (path) return { kind: "socket", path, login: loginOf(user, secret) };
  const [, scheme, kind, username, password, list = "", master] = SEVERAL.exec(url) ?? [];
  const nodes = list.split(",").map((text): RedisNode | undefined => {
    const [, host, port] = NODE.exec(text) ?? [];
    return host ? { host: host.replace(/^\[|\]$/g, ""), port: Number(port) } : undefined;
  });
  if (!nodes.every((node) => node !== undefined)) return undefined;
  const login = { ...loginOf(username, password), ...(scheme === "rediss" ? { tls: {} } : {}) };
  if (kind === "cluster" && !master) return { kind, nodes, login };
  if (kind === "sentinel" && master) return { kind, nodes, login, master };
  return undefined;
};

const loginOf = (username: string | undefined, password: string | undefined): RedisLogin => ({
  ...(username ? { username: decodeURIComponent(username) } : {}),
  ...(password ? { password: decodeURIComponent(password) } : {}),
});
