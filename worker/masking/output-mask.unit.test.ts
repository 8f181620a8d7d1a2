import { expect } from "chai";
import { eventually } from "../../test/support/eventually.ts";
import { masked, OutputMask } from "./output-mask.ts";
import { SecretMask } from "./secret-mask.ts";

const letters = "AbC3dEf6".repeat(20);
const VALUE = "correct horse/battery+staple";
const mask = new SecretMask([VALUE, "zweiter-Schlüssel-0123456789"]);
const block = (kind: string): string =>
  `-----BEGIN ${kind}PRIVATE KEY-----\n${"MIIEowIBAAKCAQEAx+/".repeat(6)}\n${"abcD".repeat(16)}==\n-----END ${kind}PRIVATE KEY-----`;

/** A secret in its surroundings, and what stays of it. */
const SECRETS: [name: string, text: string, left: RegExp][] = [
  ["an AWS access key id", `id AKIA${"ABCDEFGH23456789"} end`, /^id AKIA\*{16} end$/],
  ["an AWS secret key in a shell", `export AWS_SECRET_ACCESS_KEY=${letters.slice(0, 40)}\n`, /KEY=\*{40}\n$/],
  ["an AWS secret key in an ini file", `aws_secret_access_key = ${letters.slice(0, 40)}\n`, /key = \*{40}\n$/],
  ["an AWS secret key in JSON", `{"SecretAccessKey": "${letters.slice(0, 40)}"}`, /^{"SecretAccessKey": "\*{40}"}$/],
  ["a GitHub token", `token=ghp_${letters.slice(0, 36)};`, /^token=ghp_\*{36};$/],
  ["GitHub's OAuth token", `gho_${letters.slice(0, 36)}\n`, /^gho_\*{36}\n$/],
  [
    "a fine-grained GitHub token",
    `github_pat_${letters.slice(0, 22)}_${letters.slice(0, 59)} `,
    /^github_pat_\*{82} $/,
  ],
  ["a GitLab token", `"glpat-${letters.slice(0, 20)}"`, /^"glpat-\*{20}"$/],
  ["an npm token", `//r/:_authToken=npm_${letters.slice(0, 36)}\n`, /=npm_\*{36}\n$/],
  ["a PyPI token", `password = pypi-${letters.slice(0, 60)}\n`, /= pypi-\*{60}\n$/],
  [
    "a Stripe key",
    `sk_live_${letters.slice(0, 24)};rk_live_${letters.slice(0, 30)}`,
    /^sk_live_\*{24};rk_live_\*{30}$/,
  ],
  ["a Slack token", `xoxb-123456789012-${letters.slice(0, 24)} `, /^xoxb-\*{37} $/],
  ["a Google key", `key=AIza${letters.slice(0, 35)}&x`, /^key=AIza\*{35}&x$/],
  ["a token in colour", `\x1b[01;31m\x1b[Kghp_${letters.slice(0, 36)}\x1b[m`, /\[Kghp_\*{36}[^\x20-\x7e]\[m$/],
  ["a token behind an escape in JSON", `{"a":"x\\nghp_${letters.slice(0, 36)}"}`, /\\nghp_\*{36}"}$/],
  ["a token behind an escape in a URL", `?a%3Dghp_${letters.slice(0, 36)}&`, /%3Dghp_\*{36}&$/],
  ["OpenAI's old key", `sk-${letters.slice(0, 48)}\n`, /^sk-\*{48}\n$/],
  ["OpenAI's project key", `sk-proj-${letters.slice(0, 40)}_x\n`, /^sk-proj-\*{42}\n$/],
  ["Anthropic's key", `sk-ant-api03-${letters.slice(0, 60)}-AA\n`, /^sk-ant-\*{69}\n$/],
  [
    "a JWT",
    `Bearer eyJ${letters.slice(0, 20)}.eyJ${letters.slice(0, 40)}.${letters.slice(0, 43)}\n`,
    /^Bearer eyJ\*+\n$/,
  ],
  ["a private key", block(""), /^-----BEGIN PRIVATE KEY-----\n\*{114}\n\*{66}\n-----END PRIVATE KEY-----$/],
  ["an RSA private key", `${block("RSA ")}\nafter`, /^-----BEGIN RSA PRIVATE KEY-----\n[*\n]+-----END .*\nafter$/],
  ["a registered value", `https://x:${VALUE}@host`, /^https:\/\/x:\*{7} \*{20}@host$/],
  ["a registered value that is not ASCII", `"zweiter-Schlüssel-0123456789"`, /^"\*{29}"$/],
];

const whole = (text: string): string => masked(mask, Buffer.from(text)).toString();

/** What comes out, and that each chunk has the offset that its bytes had. */
const inPieces = (pieces: Buffer[]): string => {
  const out: Buffer[] = [];
  let next = 0;
  const stream = new OutputMask(mask, (offset, isStderr, data) => {
    expect([offset, isStderr]).to.deep.equal([next, false]);
    expect(data.length).to.be.above(0);
    next += data.length;
    out.push(Buffer.from(data));
  });
  let offset = 0;
  for (const piece of pieces) {
    stream.push(offset, false, Buffer.from(piece));
    offset += piece.length;
  }
  stream.release();
  expect(next).to.equal(offset);
  return Buffer.concat(out).toString();
};

describe("The mask of output", () => {
  for (const [name, text, left] of SECRETS) {
    it(`covers ${name}, wherever a chunk ends`, () => {
      const expected = whole(text);
      expect(expected).to.match(left);
      expect(Buffer.byteLength(expected)).to.equal(Buffer.byteLength(text));
      const bytes = Buffer.from(text);
      for (let at = 1; at < bytes.length; at++)
        expect(inPieces([bytes.subarray(0, at), bytes.subarray(at)]), `cut at ${at}`).to.equal(expected);
      expect(inPieces([...bytes].map((byte) => Buffer.of(byte))), "byte by byte").to.equal(expected);
    });
  }

  it("leaves what only looks like a secret", () => {
    for (const text of [
      "task-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa risk-free sk-toggleable__label-arrow-fitted-example sk-learn",
      "npm_config_registry=https://x npm_package_json ghp_short AKIA AKIAshort",
      'if (text.startsWith("-----BEGIN PRIVATE KEY-----")) throw new Error("a key");',
      "eyJ.eyJ.x eyJhbGciOiJIUzI1NiJ9 sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
      "access_key secret_access_key = os.environ['KEY'] -----BEGIN CERTIFICATE-----\nMIIBtTCCAVugAwIBAgIUSnolX0jfuk4FVjNWh89tOukhskow",
    ])
      expect(whole(text)).to.equal(text);
  });

  it("changes no byte of anything else", () => {
    const bytes = Buffer.alloc(300_000);
    let seed = 7;
    for (let i = 0; i < bytes.length; i++) {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      bytes[i] = seed >> 16;
    }
    const before = Buffer.from(bytes);
    expect(masked(new SecretMask(), bytes).equals(before)).to.equal(true);
  });

  it("finds in pieces what it finds in the whole, however they are cut", () => {
    let seed = 1;
    const random = (below: number): number => {
      seed = (seed * 48271) % 2147483647;
      return seed % below;
    };
    const noise = [
      "\n",
      " ",
      "-",
      ".",
      "g",
      "sk-",
      "eyJ",
      "-----BEGIN ",
      "x",
      "ü",
      "=",
      "secret_access_key",
      "AK",
      "1",
    ];
    for (let round = 0; round < 300; round++) {
      let text = "";
      for (let i = 0; i < 12; i++) {
        text += random(2) ? (SECRETS[random(SECRETS.length)]?.[1] ?? "") : noise[random(noise.length)];
        text += ["\n", " ", ";"][random(3)];
      }
      const bytes = Buffer.from(text);
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length; ) {
        const size = 1 + random(random(2) ? 8 : 90);
        pieces.push(bytes.subarray(at, at + size));
        at += size;
      }
      expect(inPieces(pieces), `round ${round}`).to.equal(whole(text));
    }
  });

  it("holds nothing that cannot become a secret, and lets go of the rest in time", async () => {
    const out: string[] = [];
    const stream = new OutputMask(mask, (_, __, data) => void out.push(data.toString()));
    let offset = 0;
    const push = (text: string, isStderr = false): void => {
      stream.push(offset, isStderr, Buffer.from(text));
      offset += text.length;
    };
    push("a line\n");
    push("Password: ");
    push("50 % done.");
    expect(out).to.deep.equal(["a line\n", "Password: ", "50 % done."]);
    push("Continue? gh");
    expect(out.at(-1)).to.equal("Continue? ");
    await eventually("it is seen", () => out.at(-1) === "gh");
    push(" then AK");
    push("the other stream\n", true);
    expect(out.slice(-3)).to.deep.equal([" then ", "AK", "the other stream\n"]);
    push(` ghp_${letters}`);
    push(letters);
    push(" end\n");
    expect(out.slice(-3).join("")).to.equal(` ghp_${"*".repeat(2 * letters.length)} end\n`);
  });

  it("is not kept busy by what is made for it", () => {
    const units = [
      "eyJ",
      "-eyJ",
      "eyJaaaaaaaa.",
      "sk-proj-",
      "-----BEGIN ",
      "secretaccesskey=",
      "gh",
      "xoxb-",
      VALUE.slice(1),
    ];
    // Some ms each; were each beginning looked at to the end of the word, minutes.
    for (const unit of units) masked(mask, Buffer.from(unit.repeat(Math.ceil(1_000_000 / unit.length))));
  });
});
