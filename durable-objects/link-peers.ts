// Which other deployments there are, how they prove themselves, and which regions each of them speaks for. All of it is local
// configuration: nothing that a peer says about itself adds to it.
import * as z from 'zod';
import type {RegionTable} from '../residency/policy.ts';
import {DEPLOYMENT_NAME_CHARACTERS_MAX, type Signer, signerOf, type Verifier, verifierOf} from './link-hello.ts';

export interface LinkSettings {
  /** This deployment's name, as its peers know it. */
  readonly DEPLOYMENT?: string;
  /** Secret: this deployment's Ed25519 key, as a private JWK in JSON. */
  readonly LINK_KEY?: string;
  /** The other deployments, in JSON. */
  readonly LINK_PEERS?: string | readonly unknown[];
}

export interface Peer {
  readonly name: string;
  readonly verifier: Verifier;
  readonly regions: readonly string[];
  /** Where to dial it; absent where only the peer can dial. */
  readonly url: string | undefined;
}

export interface Peers {
  readonly self: {readonly name: string; readonly signer: Signer};
  /** Undefined when the region is in this deployment. */
  ofRegion(region: string): Peer | undefined;
  named(name: string): Peer | undefined;
}

const Name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]*$/)
  .max(DEPLOYMENT_NAME_CHARACTERS_MAX);
/** 32 bytes, base64url. */
const KeyPart = z.string().regex(/^[\w-]{43}$/);
const PrivateKey = z.object({kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: KeyPart, d: KeyPart});
const PeerList = z.array(
  z.strictObject({
    name: Name,
    publicKey: KeyPart,
    regions: z.array(z.string()),
    url: z.url({protocol: /^https?$/}).optional(),
  }),
);

/** Undefined when all regions are in this deployment. Throws when the settings contradict each other: nothing works then. */
export function peersOf(
  {DEPLOYMENT, LINK_KEY, LINK_PEERS}: LinkSettings,
  regions: Pick<RegionTable, 'has'>,
): Peers | undefined {
  const listed = typeof LINK_PEERS === 'string' && LINK_PEERS !== '' ? (JSON.parse(LINK_PEERS) as unknown) : LINK_PEERS;
  const list = PeerList.parse(listed || []);
  if (list.length === 0) return undefined;
  const self = {name: Name.parse(DEPLOYMENT), signer: signerOf(PrivateKey.parse(JSON.parse(LINK_KEY ?? 'null')))};
  const byName = new Map<string, Peer>();
  const byRegion = new Map<string, Peer>();
  for (const {publicKey, url, ...rest} of list) {
    const peer = {...rest, url, verifier: verifierOf(publicKey)};
    if (byName.has(peer.name) || peer.name === self.name) throw new Error(`two deployments are named ${peer.name}`);
    byName.set(peer.name, peer);
    for (const region of peer.regions) {
      if (!regions.has(region)) throw new Error(`${peer.name} speaks for ${region}, which no region table has`);
      if (byRegion.has(region)) throw new Error(`two deployments speak for ${region}`);
      byRegion.set(region, peer);
    }
  }
  return {self, ofRegion: region => byRegion.get(region), named: name => byName.get(name)};
}
