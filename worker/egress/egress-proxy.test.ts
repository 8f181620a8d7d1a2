import { once } from "node:events";
import { createServer as createHttpServer, type Server as HttpServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { expect } from "chai";
import { silentLog } from "../../test/support/silent-log.ts";
import { EgressProxy } from "./egress-proxy.ts";
import { EgressRules } from "./egress-rules.ts";

describe("The egress proxy", () => {
  let target: HttpServer;
  let door: Server;
  let port: number;
  const asked: IncomingMessage[] = [];

  before(async () => {
    target = createHttpServer((request, response) => {
      asked.push(request);
      response.writeHead(200, { connection: "close" }).end("reached");
    }).listen(0, "127.0.0.1");
    await once(target, "listening");
    port = (target.address() as AddressInfo).port;
    const rules = EgressRules.of({
      allow: [`pinned.example:${port}`, `localhost:${port}`, `*:${port}`],
      hosts: { "pinned.example": "127.0.0.1" },
      principals: { team: { allow: [`team.example:${port}`] } },
    });
    const proxy = new EgressProxy({ log: silentLog }, rules);
    proxy.offer("own.internal", port);
    door = createServer((socket) => {
      socket.once("data", (first: Buffer) => {
        socket.pause();
        const [principal = "", rest = ""] = first.toString("latin1").split("\0"); // the test's way to say whose it is
        socket.unshift(Buffer.from(rest, "latin1"));
        proxy.take(socket, principal);
        socket.resume(); // what was put back is read from here, not from the system
      });
    }).listen(0, "127.0.0.1");
    await once(door, "listening");
  });
  after(() => {
    door.close();
    target.close();
    target.closeAllConnections();
  });

  /** What comes back, and all of it: a second request goes through a tunnel once that stands. */
  const ask = async (text: string, then = "", principal = "anyone"): Promise<string> => {
    const socket = connect((door.address() as AddressInfo).port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(`${principal}\0${text}`);
    let answer = "";
    socket.on("data", (data) => {
      answer += String(data);
      if (then && answer.includes("200 Connection Established")) socket.write(then);
      then = "";
      if (/ 40\d /.test(answer)) socket.end();
    });
    await once(socket, "close");
    return answer;
  };
  const get = (url: string, principal?: string): Promise<string> =>
    ask(`GET ${url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, "", principal);
  const tunnel = (to: string, principal?: string): Promise<string> =>
    ask(
      `CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`,
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      principal,
    );

  it("leads to a name that is allowed, by request and by tunnel", async () => {
    expect(await get(`http://pinned.example:${port}/`)).to.include("reached");
    expect(await tunnel(`pinned.example:${port}`)).to.include("reached");
    expect(await tunnel(`PINNED.example.:${port}`)).to.include("reached");
    expect(await get(`http://own.internal:${port}/`)).to.include("reached");
  });

  it("refuses a name or a port that is not, by name", async () => {
    expect(await tunnel("pinned.example:22")).to.match(/ 403 .*pinned\.example:22 is not allowed/s);
    expect(await get("http://pinned.example/")).to.match(/ 403 /);
    expect(await tunnel("own.internal:22")).to.match(/ 403 /);
  });

  it("goes by a principal's own list", async () => {
    expect(await tunnel(`pinned.example:${port}`, "team")).to.match(/ 403 /);
    expect(await tunnel(`own.internal:${port}`, "team")).to.include("reached");
  });

  for (const host of ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1", "0.0.0.0"]) {
    it(`refuses the address ${host}, whatever the list says`, async () => {
      const reached = asked.length;
      expect(await tunnel(`${host}:${port}`)).to.match(/ 403 /);
      expect(await get(`http://${host}:${port}/`)).to.match(/ 403 /);
      expect(asked).to.have.length(reached);
    });
  }

  for (const host of ["localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost."]) {
    it(`does not reach ${host}, a name that leads to a private address`, async () => {
      const reached = asked.length;
      expect(await tunnel(`${host}:${port}`)).not.to.include("200");
      expect(await get(`http://${host}:${port}/`)).not.to.include("reached");
      expect(asked).to.have.length(reached);
    });
  }

  it("does not mind what is no request of a proxy", async () => {
    for (const text of [
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "nonsense\r\n\r\n",
      "CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n",
    ])
      expect(await ask(text)).to.match(/ 400 /);
    expect(await get(`http://pinned.example:${port}/`)).to.include("reached");
  });
});
