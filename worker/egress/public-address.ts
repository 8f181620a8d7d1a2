import { BlockList, isIP, isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";

/** Private, loopback, link-local (with the clouds' metadata), shared, reserved and multicast: IANA's special-purpose registries. */
const RESERVED_V4: [string, number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["168.63.129.16", 32], // of Azure's platform, which trusts who comes from its machines
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];
/** Within 2000::/3: protocol assignments with Teredo, documentation, 6to4, which leads to any IPv4 address. */
const RESERVED_V6: [string, number][] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];

const reserved = new BlockList();
for (const [network, bits] of RESERVED_V4) reserved.addSubnet(network, bits, "ipv4");
for (const [network, bits] of RESERVED_V6) reserved.addSubnet(network, bits, "ipv6");
const globalV6 = new BlockList();
globalV6.addSubnet("2000::", 3, "ipv6");

/** Whether an address is one of the internet's, and not this host's own, however it is written. Whatever is no address is not. */
export const isPublicAddress = (address: string): boolean => {
  if (isIP(address) === 0) return false;
  const family = isIPv4(address) ? "ipv4" : "ipv6";
  if (reserved.check(address, family) || ownAddresses().check(address, family)) return false;
  return family === "ipv4" || globalV6.check(address, family); // mapped and translated IPv4 are outside
};

/** Read each time: a host gets addresses while it runs. */
const ownAddresses = (): BlockList => {
  const own = new BlockList();
  for (const one of Object.values(networkInterfaces()).flatMap((all) => all ?? []))
    own.addAddress(one.address.replace(/%.*$/, ""), one.family === "IPv4" ? "ipv4" : "ipv6");
  return own;
};
