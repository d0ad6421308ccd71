// Keys that exist for tests alone, fixed so that object names and tokens are the same in every run.

export const OPERATOR_KEY = {
  kty: 'OKP',
  crv: 'Ed25519',
  kid: 'test-operator',
  x: 'nS8Q1Usj8hovcipKWKK0jbvllsuSvAjtZ8ik_LxG8No',
  d: '8_UICA6jo6hn1MLP8joHfA9CjXuYMsIQWyOEtOrGEho',
} as const;

export const ISSUER_KEY = {
  kty: 'OKP',
  crv: 'Ed25519',
  kid: 'test-issuer',
  x: '4lRsaqMBqxnGeZNfZD86dAYd4-Z6GiBawBm8tFr0v24',
  d: '4Eox8owsXOTXxxOaoSy31KcuuKSQch88RbKjKMLFvhA',
} as const;

const publicPart = ({d: _, ...key}: {d: string; kid: string}) => key;

export const ISSUER = {issuer: 'test', keys: [publicPart(ISSUER_KEY)]};

export const testBindings = {
  PLACEMENT: 'names',
  NAME_KEY: 'a name key for tests, thirty-two characters or more',
  OPERATOR_KEYS: JSON.stringify({keys: [publicPart(OPERATOR_KEY)]}),
  POLICY_AGE_MS_MAX: '0', // Tests see a policy at once.
};
