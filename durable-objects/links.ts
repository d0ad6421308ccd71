/** How calls between regions travel. A deployment calls directly; the local platform can cut and delay. */
export interface Links {
  carry<T>(from: string, to: string, call: () => Promise<T>): Promise<T>;
}

export const directLinks: Links = {carry: (_from, _to, call) => call()};

/** A peer that has not answered by then counts as unreachable; a call left open would be billed for minutes. */
export const PEER_CALL_MS_MAX = 5_000;

/** A call did not get through. Whether it was made there is not known. */
export class LinkDown extends Error {
  override name = 'LinkDown';
}

export class DeadlineExceeded extends Error {
  override readonly name = 'DeadlineExceeded';
}

/** The call goes on after the deadline; whatever it does then must be harmless, as after any lost reply. */
export async function within<T>(ms: number, call: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineExceeded(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([call, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
